/** Lets the event loop have its turns during long loops over pixels: the server goes on streaming while an image is prepared. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { LlavaError } from "@llava/protocol";

/** Longest time between two turns: well below the 20 ms that nothing may block, because a row or the collector adds to it. */
const TURN_MS = 4;

/** Call `rest` in a loop whenever `isDue`. */
export class EventLoopYielder {
  readonly #signal: AbortSignal | undefined;
  #turnStarted = performance.now();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  get isDue(): boolean {
    return performance.now() - this.#turnStarted > TURN_MS;
  }

  /** Lets everything else run once. Throws `cancelled` when the signal is aborted. */
  async rest(): Promise<void> {
    await nextTurn();
    this.throwIfCancelled();
    this.#turnStarted = performance.now();
  }

  throwIfCancelled(): void {
    if (!this.#signal?.aborted) return;
    throw new LlavaError("cancelled", "The request was cancelled while its image was prepared.");
  }
}
