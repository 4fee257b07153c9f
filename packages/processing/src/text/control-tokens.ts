/**
 * Keeps the text of a client from becoming control tokens: the tokenizer library reads every written-out `</s>` as the
 * token, wherever it stands. The library gets the tokens' names with a mark in front that no text contains, and only the
 * template's own text gets that mark.
 */
import type { TokenizerDefinition } from "./tokenizer-definition.ts";

/** U+10FFFF: never a character, so taking it out of a text loses nothing. */
const MARK = "\u{10FFFF}";

export interface ControlTokens {
  /** The definition for texts that the two functions wrote. */
  readonly definition: TokenizerDefinition;
  /** Prepares the text of a template, in which names of tokens are tokens. */
  readonly read: (text: string) => string;
  /** Prepares any other text, in which names of tokens are text. */
  readonly plain: (text: string) => string;
}

/** Tokens of white space are no control tokens: some vocabularies have them to make indented text short. */
export function controlTokens(definition: TokenizerDefinition): ControlTokens {
  const isControl = (content: string): boolean => content.trim() !== "";
  const names = definition.added_tokens.map(({ content }) => content).filter(isControl);
  const plain = (text: string): string => text.replaceAll(MARK, "");
  return {
    definition: {
      ...definition,
      added_tokens: definition.added_tokens.map((token) =>
        isControl(token.content) ? { ...token, content: MARK + token.content } : token,
      ),
    },
    read: names.length === 0 ? plain : markNames(names, plain),
    plain,
  };
}

/** The longest name wins where several begin, as in the library. */
function markNames(names: readonly string[], plain: (text: string) => string): (text: string) => string {
  const longestFirst = names.toSorted((a, b) => b.length - a.length);
  const escaped = longestFirst.map((name) => name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  const anyName = new RegExp(escaped.join("|"), "gu");
  return (text) => plain(text).replace(anyName, `${MARK}$&`);
}
