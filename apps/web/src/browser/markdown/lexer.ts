/**
 * Splits Markdown into tokens with marked's lexer, extended by formulas and limited in depth: thousands of nested
 * quotations, written by mistake or in malice, would otherwise exhaust the stack.
 */
import { getDefaults, Lexer, Tokenizer } from "marked";
import type { Links, MarkedOptions, Token, Tokens } from "marked";

import { MATH_OPTIONS, mayHaveMath } from "./math-syntax.ts";

/** Greatest depth of nested quotations and lists; deeper ones are shown as the characters that they consist of. */
const MAX_DEPTH = 24;

class ShallowTokenizer extends Tokenizer {
  #depth = 0;

  override blockquote(source: string): Tokens.Blockquote | undefined {
    return this.#deeper(() => super.blockquote(source));
  }

  override list(source: string): Tokens.List | undefined {
    return this.#deeper(() => super.list(source));
  }

  #deeper<Found>(find: () => Found): Found | undefined {
    if (this.#depth >= MAX_DEPTH) return undefined;
    this.#depth++;
    try {
      return find();
    } finally {
      this.#depth--;
    }
  }
}

/** @param links the addresses defined before this text, by name */
export function lex(text: string, links: Readonly<Links> = {}): readonly Token[] {
  const options: MarkedOptions = {
    ...getDefaults(),
    tokenizer: new ShallowTokenizer(),
    ...(mayHaveMath(text) ? MATH_OPTIONS : {}),
  };
  const lexer = new Lexer(options);
  Object.assign(lexer.tokens.links, links);
  try {
    return lexer.lex(text);
  } catch {
    // Unformatted text is better than none.
    return [{ type: "text", raw: text, text } satisfies Tokens.Text];
  }
}
