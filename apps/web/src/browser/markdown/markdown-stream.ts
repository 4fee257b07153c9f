/**
 * Renders Markdown that grows. Finished blocks are rendered once, and only the last ones are parsed again with each
 * update. At the end the whole text is parsed at once and differing blocks are corrected, because a link's address
 * may come pages after the link; the result equals that of rendering the whole text from the start.
 */
import type { Links, Token, Tokens } from "marked";

import { whenIdle } from "../ui/idle.ts";
import { lex } from "./lexer.ts";
import { hasColours, keepColours, patch } from "./patch.ts";
import { renderBlock } from "./render-markdown.ts";

interface Block {
  readonly raw: string;
  readonly type: string;
  /** Null for a token that shows nothing. */
  readonly node: HTMLElement | null;
}

/**
 * Number of last blocks that may still change: the last one grows, and the one before may absorb it, as a list does
 * with a line that turns out to be an item.
 */
const NUM_OPEN = 2;
/**
 * A code fence whose line is incomplete, possibly inside a quotation or a list; it would appear as text for a moment.
 */
const HALF_FENCE =
  /(^|\n)([ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)(?:`{1,2}|`{3,}[^\n`]*|~{1,2}|~{3,}[^\n]*)$/;

export class MarkdownStream {
  readonly #host: HTMLElement;
  #blocks: Block[] = [];
  /** Number of finished blocks, length of their text, and the link addresses that they define. */
  #numFrozen = 0;
  #frozenLength = 0;
  #links: Links = {};
  #text = "";

  /** @param host is emptied, and contains only these blocks from now on */
  constructor(host: HTMLElement) {
    this.#host = host;
    host.replaceChildren();
  }

  /** Takes the text so far. It must begin with the text of the call before; another text starts over. */
  update(words: string): void {
    const text = withPlainLineEnds(words);
    if (text === this.#text) return;
    if (!text.startsWith(this.#text)) this.#clear();
    this.#text = text;
    const tokens = lex(text.slice(this.#frozenLength).replace(HALF_FENCE, "$1$2"), this.#links);
    this.#replace(this.#numFrozen, tokens);
    const before = this.#numFrozen;
    this.#freeze(tokens);
    for (const { node } of this.#blocks.slice(before, this.#numFrozen)) colourLater(node);
  }

  /** Takes the whole text. */
  finish(words: string): void {
    this.#text = withPlainLineEnds(words);
    this.#replace(0, lex(this.#text), true);
    for (const { node } of this.#blocks) colourLater(node);
  }

  #clear(): void {
    this.#host.replaceChildren();
    this.#blocks = [];
    this.#numFrozen = 0;
    this.#frozenLength = 0;
    this.#links = {};
  }

  #freeze(tokens: readonly Token[]): void {
    const shown = [...tokens.keys()].filter((index) => tokens[index]?.type !== "space");
    const finished = tokens.slice(0, shown.at(-NUM_OPEN) ?? 0);
    for (const token of finished) {
      // Otherwise the rest would not be parsed from where it begins.
      if (!this.#text.startsWith(token.raw, this.#frozenLength)) return;
      this.#numFrozen++;
      this.#frozenLength += token.raw.length;
      if (token.type !== "def") continue;
      const { tag, href, title } = token as Tokens.Def;
      this.#links[tag] ??= { href, title };
    }
  }

  /** Replaces the blocks from `start` on by those of the tokens; unchanged blocks stay. */
  #replace(start: number, tokens: readonly Token[], isFinal = false): void {
    const before = this.#blocks.slice(start);
    const after = tokens.map((token, index): Block => {
      const old = before[index];
      const { raw, type } = token;
      // The address of a link may be defined later, so only code is sure to stay the same.
      if (old?.raw === raw && old.type === type && (!isFinal || type === "code")) return old;
      const node = renderBlock(token);
      const isMended = node && old?.node && patch(old.node, node);
      return { raw, type, node: isMended ? old.node : node };
    });
    const kept = new Set(after.map(({ node }) => node));
    for (const { node } of before) if (!kept.has(node)) node?.remove();
    // Blocks are placed from the end, each before the one that follows it.
    let next: HTMLElement | null = null;
    for (const { node } of after.toReversed()) {
      if (node === null) continue;
      if (node.parentNode !== this.#host || node.nextSibling !== next) this.#host.insertBefore(node, next);
      next = node;
    }
    this.#blocks = [...this.#blocks.slice(0, start), ...after];
  }
}

/** Line ends as marked's lexer normalizes them, so that lengths of tokens are lengths of the text. */
function withPlainLineEnds(text: string): string {
  return text.includes("\r") ? text.replaceAll(/\r\n?/g, "\n") : text;
}

/** Colours finished code when the browser is idle. */
function colourLater(block: HTMLElement | null): void {
  for (const code of block?.querySelectorAll<HTMLElement>("pre > code[data-language]") ?? []) {
    if (hasColours(code)) continue;
    keepColours(code);
    // Code without colours is readable, so a failure to load them is ignored.
    whenIdle(() => void colour(code).catch(() => undefined));
  }
}

async function colour(code: HTMLElement): Promise<void> {
  const { highlight } = await import("./highlight.ts");
  await highlight(code, code.dataset["language"] ?? "");
}
