/** How long loops over pixels leave the event loop its turns: the server must go on streaming while an image is prepared. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { LlavaError } from "@llava/protocol";

/** Well below the 20 ms that nothing may block, because a single row or the collector may come on top. */
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
