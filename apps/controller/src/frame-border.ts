/**
 * Cuts a relayed stream only where a frame ends, apart because the relay must be able to add its own last frame when a
 * worker is lost in the middle of one. The bytes stay the same; at most one unfinished frame is held back.
 */
import { LlavaError, MAX_FRAME_BYTES } from "@llava/protocol";

export class FrameBorder {
  readonly #delimiter: number;
  readonly #maxFrameBytes: number;
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  /** @param delimiter the byte that ends a frame: NUL on LLaVA's wire, a line feed in server-sent events. */
  constructor(delimiter: number, maxFrameBytes = MAX_FRAME_BYTES) {
    this.#delimiter = delimiter;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** The bytes up to the last frame's end, in order; `worker_lost` when a frame does not end within the limit. */
  push(chunk: Uint8Array): readonly Uint8Array[] {
    const end = chunk.lastIndexOf(this.#delimiter) + 1;
    const ready = end === 0 ? [] : [...this.#held, chunk.subarray(0, end)];
    if (end > 0) this.#empty();
    if (end < chunk.length) this.#hold(chunk.subarray(end));
    return ready;
  }

  /** What is left when the stream has ended well. */
  rest(): readonly Uint8Array[] {
    const rest = this.#held;
    this.#empty();
    return rest;
  }

  #hold(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > this.#maxFrameBytes) {
      throw new LlavaError(
        "worker_lost",
        `The worker sent a frame of more than ${this.#maxFrameBytes} bytes.`,
      );
    }
  }

  #empty(): void {
    this.#held = [];
    this.#heldBytes = 0;
  }
}
