/** Remembers the images that ended the process that decoded them, so that none can do it again and again. */
import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { LlavaError } from "@llava/protocol";

/** Crashes before an image is refused. One may have another cause: too little memory, or a user who ended the process. */
const CRASHES = 2;
const MAX_IMAGES = 256;
const REMEMBERED_MS = 3_600_000;
/** One or two milliseconds of hashing. */
const SLICE_BYTES = 1 << 20;

interface Crashes {
  /** Length of the file: only files of the same length as a remembered one need to be hashed. */
  readonly length: number;
  readonly count: number;
  readonly lastMs: number;
}

export class CrashQuarantine {
  readonly #now: () => number;
  /** Crashes by the file's hash; the one that crashed longest ago comes first. */
  readonly #images = new Map<string, Crashes>();

  /** @param now monotonic milliseconds */
  constructor(now: () => number = performance.now.bind(performance)) {
    this.#now = now;
  }

  /** The image has ended a process. */
  async note(bytes: Uint8Array): Promise<void> {
    const hash = await sha256Of(bytes);
    const count = (this.#images.get(hash)?.count ?? 0) + 1;
    this.#images.delete(hash);
    this.#images.set(hash, { length: bytes.length, count, lastMs: this.#now() });
    const [oldest] = this.#images.keys();
    if (this.#images.size > MAX_IMAGES && oldest !== undefined) this.#images.delete(oldest);
  }

  /** @throws LlavaError `quarantined` */
  async check(bytes: Uint8Array): Promise<void> {
    this.#forget();
    if (![...this.#images.values()].some(({ length }) => length === bytes.length)) return;
    const found = this.#images.get(await sha256Of(bytes));
    if (found === undefined || found.count < CRASHES) return;
    throw new LlavaError(
      "quarantined",
      `This image has ended the process that decodes it ${found.count} times and is not tried again for an hour. Save it again with another program and send that.`,
    );
  }

  #forget(): void {
    for (const [hash, { lastMs }] of this.#images) {
      if (this.#now() - lastMs < REMEMBERED_MS) return;
      this.#images.delete(hash);
    }
  }
}

async function sha256Of(bytes: Uint8Array): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    if (at > 0) await nextTurn();
    hash.update(bytes.subarray(at, at + SLICE_BYTES));
  }
  return hash.digest("hex");
}
