/**
 * Markdown to tokens, safely: marked's lexer, told about formulas, and kept from what a model may write by mistake or
 * malice (thousands of nested quotations would otherwise exhaust the stack).
 */
import { getDefaults, Lexer, Tokenizer } from "marked";
import type { Links, MarkedOptions, Token, Tokens } from "marked";

import { MATH_OPTIONS, mayHaveMath } from "./math-syntax.ts";

/** Deeper quotations and lists are shown as the characters they are made of; nobody reads as deep. */
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

/** @param links what was defined before this text, by name */
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
    // Words without form are better than none.
    return [{ type: "text", raw: text, text } satisfies Tokens.Text];
  }
}
