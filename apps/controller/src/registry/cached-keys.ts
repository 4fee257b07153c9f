/**
 * Remembers what one worker probably still has of earlier requests, for the dispatch method image_affinity. It is bounded and
 * may be wrong.
 */
import type { RequestKeys } from "./dispatch.ts";

/** The number of keys of each kind; a worker may report as many images. */
const MAX_KEYS = 256;

export class CachedKeys {
  #reported: ReadonlySet<string> = new Set();
  /** The images that were sent there, and below the prompts; the one that was sent longest ago first. */
  readonly #images = new Map<string, Sending>();
  readonly #prompts = new Map<string, Sending>();
  #numReports = 0;

  holds(key: string): boolean {
    return this.#reported.has(key) || this.#images.has(key) || this.#prompts.has(key);
  }

  /** Call when a request with these keys goes to the worker. @returns a function that takes it back, if it was never sent */
  send({ imageKeys, promptKey }: RequestKeys): () => void {
    const undos = imageKeys.map((key) => remember(this.#images, key, this.#numReports));
    if (promptKey !== null) undos.push(remember(this.#prompts, promptKey, this.#numReports));
    return () => {
      for (const undo of undos) undo();
    };
  }

  /**
   * Call with the images that the worker reports; it may have others. One that it reported before and does not now is
   * removed, unless it was sent there again meanwhile.
   */
  report(imageKeys: readonly string[]): void {
    const before = this.#reported;
    this.#reported = new Set(imageKeys);
    for (const key of before) {
      const sending = this.#images.get(key);
      const isOld = sending !== undefined && sending.report < this.#numReports;
      if (isOld && !this.#reported.has(key)) this.#images.delete(key);
    }
    this.#numReports += 1;
  }

  get size(): number {
    return this.#reported.size + this.#images.size + this.#prompts.size;
  }
}

interface Sending {
  /** The number of reports of the worker that came before it. */
  readonly report: number;
}

function remember(keys: Map<string, Sending>, key: string, report: number): () => void {
  const before = keys.get(key);
  const sending: Sending = { report };
  // Deleted first, so that the key moves to the end.
  keys.delete(key);
  keys.set(key, sending);
  const oldest = keys.keys().next();
  if (keys.size > MAX_KEYS && !oldest.done) keys.delete(oldest.value);
  return () => {
    if (keys.get(key) !== sending) return;
    if (before === undefined) keys.delete(key);
    else keys.set(key, before);
  };
}
