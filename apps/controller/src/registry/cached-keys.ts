/** What one worker probably still has of earlier requests, apart because only image_affinity asks. Bounded, and no more than a guess. */
import type { RequestKeys } from "./dispatch.ts";

/** Of each kind; as many images as a worker may report. */
const MAX_KEYS = 256;

export class HeldKeys {
  #reported: ReadonlySet<string> = new Set();
  /** Sent there; the one sent longest ago first. */
  readonly #images = new Map<string, Sending>();
  readonly #prompts = new Map<string, Sending>();
  #numReports = 0;

  holds(key: string): boolean {
    return this.#reported.has(key) || this.#images.has(key) || this.#prompts.has(key);
  }

  /** A request with these keys goes to the worker. @returns what takes that back, for one that never went */
  send({ imageKeys, promptKey }: RequestKeys): () => void {
    const undos = imageKeys.map((key) => remember(this.#images, key, this.#numReports));
    if (promptKey !== null) undos.push(remember(this.#prompts, promptKey, this.#numReports));
    return () => {
      for (const undo of undos) undo();
    };
  }

  /**
   * Images that the worker says it has; it may have others. One that it had and has no more is forgotten, unless it was
   * sent there again meanwhile.
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
  /** How many reports of the worker came before it. */
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
