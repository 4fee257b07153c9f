/** FailedAddresses remembers downloads that failed, so that repeated requests do not repeat them. */
import type { LlavaError } from "@llava/protocol";

const MAX_ADDRESSES = 1024;

export class FailedAddresses {
  readonly #rememberedMs: number;
  /** Ordered by the time at which they are forgotten. */
  readonly #failed = new Map<string, { readonly error: LlavaError; readonly untilMs: number }>();

  constructor(rememberedMs: number) {
    this.#rememberedMs = rememberedMs;
  }

  note(address: string, error: LlavaError): void {
    this.#failed.delete(address);
    this.#failed.set(address, { error, untilMs: performance.now() + this.#rememberedMs });
    const [oldest] = this.#failed.keys();
    if (this.#failed.size > MAX_ADDRESSES && oldest !== undefined) this.#failed.delete(oldest);
  }

  /** Throws the error of a remembered failure. */
  check(address: string): void {
    for (const [old, { untilMs }] of this.#failed) {
      if (untilMs > performance.now()) break;
      this.#failed.delete(old);
    }
    const found = this.#failed.get(address);
    if (found) throw found.error;
  }
}
