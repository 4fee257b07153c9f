/**
 * Finds formulas in Markdown: `$a$`, `\(a\)`, `$$a$$`, and blocks between `$$` and `$$` or `\[` and `\]`. Amounts of
 * dollars are no formulas: a formula does not begin or end with a space, and no letter or digit follows its end.
 */
import type { MarkedOptions, TokenizerExtensionFunction, Tokens } from "marked";

export interface MathToken {
  readonly type: "math";
  readonly raw: string;
  /** The formula without its delimiters. */
  readonly tex: string;
  readonly isDisplay: boolean;
}

export interface MathBlockToken {
  readonly type: "mathBlock";
  readonly raw: string;
  /** The formula without its delimiters; null while its end is missing, when it is shown as text. */
  readonly tex: string | null;
}

/** Longest inline formula in characters; a longer match is two unrelated dollar signs. */
const MAX_INLINE = 1000;

const INLINE = new RegExp(`^\\$(?![\\s$])((?:\\\\[^]|[^$\\\\]){1,${MAX_INLINE}}?)(?<!\\s)\\$(?![\\w$])`);
const INLINE_DISPLAY = new RegExp(`^\\$\\$(?!\\$)((?:\\\\[^]|[^$\\\\]){1,${MAX_INLINE}}?)\\$\\$(?!\\$)`);
const INLINE_ROUND = new RegExp(`^\\\\\\(([^]{1,${MAX_INLINE}}?)\\\\\\)`);
const INLINE_START = /(?<![\w\\$])\$(?=\S)|\\\(/;
const INLINE_ANYWHERE = new RegExp(
  `(?<![\\w\\\\$])\\$(?![\\s$])(?:\\\\[^]|[^$\\\\]){1,${MAX_INLINE}}?(?<!\\s)\\$(?![\\w$])`,
  "g",
);
const BLOCK_BEGIN = /^ {0,3}(\$\$(?!\$)|\\\[)/;
const BLOCK_START = /\n {0,3}(?:\$\$(?!\$)|\\\[)/;
/** A formula ends at an empty line. */
const BLANK_LINE = /\n[ \t]*(?:\n|$)/;
const REST_OF_LINE = /^[ \t]*(?=\n|$)/;

export function mayHaveMath(text: string): boolean {
  return text.includes("$") || text.includes("\\(") || text.includes("\\[");
}

function inlineMath(source: string): MathToken | undefined {
  const found = INLINE_ROUND.exec(source) ?? INLINE.exec(source);
  if (found?.[1]?.trim()) return { type: "math", raw: found[0], tex: found[1].trim(), isDisplay: false };
  const display = INLINE_DISPLAY.exec(source);
  if (display?.[1]?.trim()) return { type: "math", raw: display[0], tex: display[1].trim(), isDisplay: true };
  return undefined;
}

function blockMath(source: string): MathBlockToken | undefined {
  const [begin, mark] = BLOCK_BEGIN.exec(source) ?? [];
  if (begin === undefined) return undefined;
  const body = source.slice(begin.length);
  const limit = BLANK_LINE.exec(body)?.index ?? body.length;
  const end = body.slice(0, limit).indexOf(mark === "$$" ? "$$" : "\\]");
  if (end === -1) {
    // While the formula may still be closed, its lines must not appear as lists and headings for a moment.
    const isAlone = REST_OF_LINE.exec(body)?.[0].length === body.split("\n", 1)[0]?.length && body !== "";
    return isAlone ? { type: "mathBlock", raw: source.slice(0, begin.length + limit), tex: null } : undefined;
  }
  const after = REST_OF_LINE.exec(body.slice(end + 2));
  const tex = body.slice(0, end).trim();
  if (after === null || tex === "") return undefined;
  return { type: "mathBlock", raw: source.slice(0, begin.length + end + 2 + after[0].length), tex };
}

function startOfBlock(source: string): number | undefined {
  const found = BLOCK_START.exec(source);
  return found ? found.index + 1 : undefined;
}

function startOfInline(source: string): number | undefined {
  const index = source.search(INLINE_START);
  return index === -1 ? undefined : index;
}

const asExtension = (find: (source: string) => MathToken | MathBlockToken | undefined) =>
  find as (source: string) => Tokens.Generic | undefined as TokenizerExtensionFunction;

export const MATH_OPTIONS = {
  extensions: {
    childTokens: {},
    renderers: {},
    inline: [asExtension(inlineMath)],
    startInline: [startOfInline],
    block: [asExtension(blockMath)],
    startBlock: [startOfBlock],
  },
  // Asterisks and underscores inside a formula are no emphasis. The mask has the same length, so that positions stay
  // the same.
  hooks: {
    emStrongMask: (source: string) => source.replaceAll(INLINE_ANYWHERE, (all) => "a".repeat(all.length)),
  },
} as const satisfies Record<string, unknown> as unknown as MarkedOptions;
