/** How long steps take, measured as they go: what the sizes of chunks and drafts are chosen by. */
import type { Plan } from "./scheduler.ts";

/** Weight of the newest measurement. */
const NEWEST = 0.2;
/** Positions of one prompt chunk when nobody waits for a token: long enough for the matrix kernels, short enough to stop soon. */
export const CHUNK_TOKENS = 256;
/** A chunk is a power of two: its length must not make rounding differ more than it has to. */
const LEAST_CHUNK = 16;
/** A stream gets its next token at the latest after this many times a step's time, while another's prompt is computed. */
const STALL_FACTOR = 3;
/** Tokens of one draft. */
const DRAFT_TOKENS = 4;
/** A draft that did not pay is tried again after this many steps. */
const DRAFT_PAUSE = 64;

export class ChunkSizer {
  /** Of a step for one sequence or for several, milliseconds. */
  #decodeMs: number | undefined;
  #prefillMsPerToken: number | undefined;
  /** Of a step for one sequence, with and without a draft. */
  #singleMs: number | undefined;
  #verifyMs: number | undefined;
  /** Tokens that a draft's step yields, the one that needs no draft included. */
  #verifyTokens = DRAFT_TOKENS;
  #pause = 0;

  /** Most positions of the next prompt chunk. */
  chunkTokens(isSomebodyDecoding: boolean): number {
    if (!isSomebodyDecoding || !this.#decodeMs || !this.#prefillMsPerToken) return CHUNK_TOKENS;
    const most = ((STALL_FACTOR - 1) * this.#decodeMs) / this.#prefillMsPerToken;
    return Math.min(CHUNK_TOKENS, Math.max(LEAST_CHUNK, 2 ** Math.floor(Math.log2(Math.max(1, most)))));
  }

  /** Tokens of a draft for one sequence alone; 0 when drafts did not pay lately. */
  draftTokens(): number {
    if (this.#pause > 0) return 0;
    return DRAFT_TOKENS;
  }

  /** `tokens`: that the step yielded. */
  record(plan: Plan, milliseconds: number, tokens: number): void {
    if (plan.kind === "prefill") {
      const each = milliseconds / (plan.to - plan.from);
      this.#prefillMsPerToken = blend(this.#prefillMsPerToken, each);
      return;
    }
    if (plan.kind === "verify") {
      this.#verifyMs = blend(this.#verifyMs, milliseconds);
      this.#verifyTokens = blend(this.#verifyTokens, tokens);
      this.#judge();
      return;
    }
    this.#decodeMs = blend(this.#decodeMs, milliseconds);
    this.#pause = Math.max(0, this.#pause - 1);
    if (plan.sequences.length === 1) this.#singleMs = blend(this.#singleMs, milliseconds);
  }

  /** Drafts pay when a token with them takes less time than one without. */
  #judge(): void {
    if (this.#verifyMs === undefined || this.#singleMs === undefined) return;
    if (this.#verifyMs <= this.#singleMs * this.#verifyTokens) return;
    this.#pause = DRAFT_PAUSE;
    // Judged anew then.
    this.#verifyTokens = DRAFT_TOKENS;
    this.#verifyMs = undefined;
  }
}

function blend(known: number | undefined, newest: number): number {
  return known === undefined ? newest : known + NEWEST * (newest - known);
}
