/**
 * Keeps the words of a stranger from becoming control tokens: the tokenizer library reads every written-out `</s>` as the
 * token, wherever it stands. It is given the tokens' names with a mark in front that no text holds, and only the
 * template's own text gets that mark.
 */
import type { TokenizerDefinition } from "./tokenizer.ts";

/** U+10FFFF: never a character, so taking it out of a text loses nothing. */
const MARK = "\u{10FFFF}";

export interface ControlTokens {
  /** The definition that understands what the two functions write. */
  readonly definition: TokenizerDefinition;
  /** Text of a template: the names of tokens in it are tokens. */
  readonly read: (text: string) => string;
  /** Anybody's words: the names of tokens in it are words. */
  readonly plain: (text: string) => string;
}

/** Tokens of white space stay for everybody: some vocabularies have them to make indented text short. */
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
