/**
 * Markdown that grows: finished blocks are made once and never looked at again, only the last ones are read anew with each
 * frame. At the end the whole text is read at once and what differs is mended, so that the outcome is that of a text that was
 * there from the start (a link's address may come pages after the link).
 */
import type { Links, Token, Tokens } from "marked";

import { whenIdle } from "../ui/idle.ts";
import { lex } from "./lexer.ts";
import { hasColours, keepColours, patch } from "./patch.ts";
import { renderBlock } from "./render-markdown.ts";

interface Block {
  readonly raw: string;
  readonly type: string;
  /** Null for what shows nothing. */
  readonly node: HTMLElement | null;
}

/** The last block grows; the one before may still take it in, as a list does with a line that turns out to be an item. */
const NUM_OPEN = 2;
/** A fence whose line has not ended would show as words for a moment; it may stand in a quotation or a list. */
const HALF_FENCE =
  /(^|\n)([ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)(?:`{1,2}|`{3,}[^\n`]*|~{1,2}|~{3,}[^\n]*)$/;

export class MarkdownStream {
  readonly #host: HTMLElement;
  #blocks: Block[] = [];
  /** Of these, how many are finished, how long their text is, and the addresses that they have named. */
  #numFrozen = 0;
  #frozenLength = 0;
  #links: Links = {};
  #text = "";

  /** @param host is emptied, and holds nothing but these blocks from now on */
  constructor(host: HTMLElement) {
    this.#host = host;
    host.replaceChildren();
  }

  /** The text so far, which begins with all that was given before; another text begins anew. */
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

  /** There is no more to come. */
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
      // Else what follows would not be read from where it begins.
      if (!this.#text.startsWith(token.raw, this.#frozenLength)) return;
      this.#numFrozen++;
      this.#frozenLength += token.raw.length;
      if (token.type !== "def") continue;
      const { tag, href, title } = token as Tokens.Def;
      this.#links[tag] ??= { href, title };
    }
  }

  /** Puts blocks for these tokens in the place of those from `start` on; what is the same stays. */
  #replace(start: number, tokens: readonly Token[], isFinal = false): void {
    const before = this.#blocks.slice(start);
    const after = tokens.map((token, index): Block => {
      const old = before[index];
      const { raw, type } = token;
      // What a link means may be said later; code means itself.
      if (old?.raw === raw && old.type === type && (!isFinal || type === "code")) return old;
      const node = renderBlock(token);
      const isMended = node && old?.node && patch(old.node, node);
      return { raw, type, node: isMended ? old.node : node };
    });
    const kept = new Set(after.map(({ node }) => node));
    for (const { node } of before) if (!kept.has(node)) node?.remove();
    // From the end, each before the one that follows it.
    let next: HTMLElement | null = null;
    for (const { node } of after.toReversed()) {
      if (node === null) continue;
      if (node.parentNode !== this.#host || node.nextSibling !== next) this.#host.insertBefore(node, next);
      next = node;
    }
    this.#blocks = [...this.#blocks.slice(0, start), ...after];
  }
}

/** As the lexer makes them, so that the lengths of its tokens are lengths of the text. */
function withPlainLineEnds(text: string): string {
  return text.includes("\r") ? text.replaceAll(/\r\n?/g, "\n") : text;
}

/** Code that is whole gets its colours when nothing else is to be done. */
function colourLater(block: HTMLElement | null): void {
  for (const code of block?.querySelectorAll<HTMLElement>("pre > code[data-language]") ?? []) {
    if (hasColours(code)) continue;
    keepColours(code);
    // Without colours it is as readable: a failure to load them is nobody's concern.
    whenIdle(() => void colour(code).catch(() => undefined));
  }
}

async function colour(code: HTMLElement): Promise<void> {
  const { highlight } = await import("./highlight.ts");
  await highlight(code, code.dataset["language"] ?? "");
}
