/** ChunkSizer measures how long steps take, and chooses the sizes of prompt chunks and drafts by that. */
import type { Plan } from "./scheduler.ts";

/** Weight of the newest measurement. */
const NEWEST = 0.2;
/** Positions of one prompt chunk while no sequence decodes: long enough for the matrix kernels, short enough to stop soon. */
export const CHUNK_TOKENS = 256;
/**
 * Fewest positions of a chunk that is made shorter. Chunks are powers of two: with ONNX Runtime 1.30's CPU kernels the
 * logits after chunks of 16, 32 and 64 positions were equal bit by bit, those after chunks of 7 were not.
 */
const MIN_CHUNK_TOKENS = 16;
/** Longest time between two tokens of an answer while another's prompt is computed, in times of a decoding step. */
const STALL_FACTOR = 3;
/** Guessed tokens of one draft. */
const DRAFT_TOKENS = 4;
/** Decoding steps until drafts are tried again after they did not pay. */
const DRAFT_PAUSE = 64;

export class ChunkSizer {
  readonly #drafts: boolean;
  /** Time of a decoding step for one sequence or for several. */
  #decodeMs: number | undefined;
  #prefillMsPerToken: number | undefined;
  /** Time of a decoding step for one sequence without a draft. */
  #singleMs: number | undefined;
  /** Time of a step for one sequence with a draft. */
  #verifyMs: number | undefined;
  /** Tokens that a step with a draft yields, the one that needs no draft included. */
  #verifyTokens = DRAFT_TOKENS;
  /** Decoding steps until drafts are tried again. */
  #pause = 0;

  constructor({ drafts = true }: { readonly drafts?: boolean } = {}) {
    this.#drafts = drafts;
  }

  /** Most positions of the next prompt chunk. */
  chunkTokens(isAnyDecoding: boolean): number {
    if (!isAnyDecoding || !this.#decodeMs || !this.#prefillMsPerToken) return CHUNK_TOKENS;
    const most = ((STALL_FACTOR - 1) * this.#decodeMs) / this.#prefillMsPerToken;
    return Math.min(CHUNK_TOKENS, Math.max(MIN_CHUNK_TOKENS, 2 ** Math.floor(Math.log2(Math.max(1, most)))));
  }

  /** Most tokens of a draft for one sequence alone; 0 when there are none or they did not pay lately. */
  draftTokens(): number {
    return this.#drafts && this.#pause === 0 ? DRAFT_TOKENS : 0;
  }

  /** Notes a step that took `milliseconds` and gave each sequence `tokens` on average. */
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

  /** Pauses drafts when a token with them takes no less time than one without. */
  #judge(): void {
    if (this.#verifyMs === undefined || this.#singleMs === undefined) return;
    if (this.#verifyMs <= this.#singleMs * this.#verifyTokens) return;
    this.#pause = DRAFT_PAUSE;
    // The pause over, drafts are measured anew.
    this.#verifyTokens = DRAFT_TOKENS;
    this.#verifyMs = undefined;
  }
}

function blend(known: number | undefined, newest: number): number {
  return known === undefined ? newest : known + NEWEST * (newest - known);
}
