/**
 * Markdown that grows: finished blocks are made once and never looked at again, only the last ones are read anew with each
 * frame. At the end the whole text is read at once and what differs is mended, so that the outcome is that of a text that was
 * there from the start (a link's address may come pages after the link).
 */
import { Lexer } from "marked";
import type { Token } from "marked";

import { renderBlock } from "./render.ts";

interface Block {
  readonly raw: string;
  readonly node: HTMLElement | null;
}

/** The last block grows; the one before may still join it, as the lines of a list do. */
const NUM_OPEN = 2;

export class MarkdownStream {
  readonly #host: HTMLElement;
  #blocks: Block[] = [];
  /** Of these, how many are finished, and how long their text is. */
  #numFrozen = 0;
  #frozenLength = 0;
  #text = "";

  /** @param host is emptied, and holds nothing but these blocks from now on */
  constructor(host: HTMLElement) {
    this.#host = host;
    host.replaceChildren();
  }

  /** The text so far, which begins with all that was given before; another text begins anew. */
  update(text: string): void {
    if (text === this.#text) return;
    if (!text.startsWith(this.#text)) this.#clear();
    this.#text = text;
    const tokens = new Lexer().lex(withoutHalfFence(text.slice(this.#frozenLength)));
    this.#replace(this.#numFrozen, tokens);
    const before = this.#numFrozen;
    this.#freeze(tokens);
    for (const { node } of this.#blocks.slice(before, this.#numFrozen)) colourLater(node);
  }

  /** There is no more to come. */
  finish(text: string): void {
    this.#text = text;
    this.#replace(0, new Lexer().lex(text), true);
    for (const { node } of this.#blocks) colourLater(node);
  }

  #clear(): void {
    this.#host.replaceChildren();
    this.#blocks = [];
    this.#numFrozen = 0;
    this.#frozenLength = 0;
  }

  #freeze(tokens: readonly Token[]): void {
    const finished = tokens.slice(0, -NUM_OPEN);
    this.#numFrozen += finished.length;
    this.#frozenLength += finished.reduce((sum, { raw }) => sum + raw.length, 0);
  }

  /** Puts blocks for these tokens in the place of those from `start` on; equal ones stay. */
  #replace(start: number, tokens: readonly Token[], isFinal = false): void {
    const before = this.#blocks.slice(start);
    const after = tokens.map((token, index): Block => {
      const old = before[index];
      // What a link means may be said later; code means itself.
      if (old?.raw === token.raw && (!isFinal || token.type === "code")) return old;
      const node = renderBlock(token);
      return isFinal && isSame(old?.node, node)
        ? { raw: token.raw, node: old?.node ?? null }
        : { raw: token.raw, node };
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

/** Code that is whole gets its colours when nothing else is to be done. */
function colourLater(block: HTMLElement | null): void {
  const code = block?.querySelector<HTMLElement>(":scope > pre > code[data-language]");
  const language = code?.dataset["language"];
  if (!code || language === undefined || code.dataset["isColoured"] !== undefined) return;
  code.dataset["isColoured"] = "";
  const colour = async (): Promise<void> => {
    const { highlight } = await import("./highlight.ts");
    await highlight(code, language);
  };
  // Without colours it is as readable: a failure to load them is nobody's concern.
  requestIdle(() => void colour().catch(() => undefined));
}

/** Safari has no idle callbacks. */
function requestIdle(task: () => void): void {
  if ("requestIdleCallback" in window) requestIdleCallback(task);
  else setTimeout(task, 50);
}

function isSame(old: HTMLElement | null | undefined, node: HTMLElement | null): boolean {
  if (!old || !node) return (old ?? null) === node;
  return old.isEqualNode(node);
}

/** A fence whose line has not ended would show as words for a moment. */
function withoutHalfFence(text: string): string {
  return text.replace(/(^|\n) {0,3}(`{1,2}|`{3,}[^\n`]*|~{1,2}|~{3,}[^\n]*)$/, "$1");
}
