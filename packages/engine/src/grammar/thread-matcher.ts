/** Follows one answer with a grammar that lives in a thread: tokens go there, and masks come back through shared memory. */
import { LlavaError } from "@llava/protocol";
import { MATCHER, REFUSED } from "./grammar-link.ts";

/** Follows one answer and says which tokens may come next. */
export interface GrammarMatcher extends Disposable {
  accept(id: number): void;
  /**
   * Makes impossible what may not come next, in place; end tokens may when the answer can end here. Returns whether nothing
   * else may. Throws `runtime_failure` when the grammar is lost or does not allow the tokens that it was given.
   */
  mask(logits: Float32Array, endTokens: ReadonlySet<number>): boolean;
}

/** Longest wait for a mask: it takes 0.05 ms, and while it is made the model computes. */
const MASK_MS = 2_000;

export class ThreadMatcher implements GrammarMatcher {
  readonly #words: Int32Array;
  readonly #post: (id: number) => void;
  readonly #close: () => void;
  /** Value of `MATCHER.count` when the mask for the next token is there. */
  #expected = 1;
  #isOpen = true;

  constructor(words: Int32Array, post: (id: number) => void, close: () => void) {
    this.#words = words;
    this.#post = post;
    this.#close = close;
  }

  accept(id: number): void {
    this.#expected += 1;
    this.#post(id);
  }

  mask(logits: Float32Array, endTokens: ReadonlySet<number>): boolean {
    this.#wait();
    const mayEnd = this.#words[MATCHER.mayEnd] === 1;
    const ends = [...endTokens].map((id) => [id, mayEnd ? (logits[id] ?? -Infinity) : -Infinity] as const);
    let mustEnd = true;
    for (let from = 0; from < logits.length; from += 32) {
      const word = this.#words[MATCHER.mask + (from >> 5)] ?? 0;
      if (word !== 0) mustEnd = false;
      if (word === -1) continue;
      const to = Math.min(from + 32, logits.length);
      for (let id = from; id < to; id++) if (((word >> (id - from)) & 1) === 0) logits[id] = -Infinity;
    }
    for (const [id, logit] of ends) logits[id] = logit;
    return mustEnd;
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#close();
  }

  /** The thread has had the time of a step of the model, so that there is mostly nothing to wait for. */
  #wait(): void {
    const untilMs = performance.now() + MASK_MS;
    while (this.#isOpen) {
      const count = Atomics.load(this.#words, MATCHER.count);
      if (count === this.#expected) return;
      const leftMs = untilMs - performance.now();
      if (count === REFUSED || leftMs <= 0) break;
      Atomics.wait(this.#words, MATCHER.count, count, leftMs);
    }
    throw new LlavaError("runtime_failure", "The grammar of this answer was lost. Ask again.");
  }
}
