/**
 * Remembers the requests that crash the workers which answer them: after two processes ended over the same body, no worker
 * is asked with it for a while. Bodies are known by their hash; none is hashed before a worker was lost.
 */
import { LlavaError } from "@llava/protocol";

/** The number of processes that end over a body before it is refused. */
const MAX_CRASHES = 2;
/** How long a body is remembered after its last crash. */
const EXPIRY_MS = 600_000;
/** The number of bodies that are remembered; the oldest is dropped for the next one. */
const MAX_SUSPECTS = 1_024;

interface SuspectBody {
  /** The body's bytes: only a body of equal length is worth a hash. */
  readonly length: number;
  /** The names of the processes that ended over it. */
  readonly crashed: Set<string>;
  untilMs: number;
}

export class PoisonRequests {
  readonly #now: () => number;
  /** The bodies that crashed workers, by hash; the one that did last is the last. */
  readonly #suspects = new Map<string, SuspectBody>();

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#suspects.size;
  }

  /** Throws `quarantined` when too many workers ended over this body. */
  async check(body: Uint8Array): Promise<void> {
    const suspect = await this.#find(body);
    if (suspect === null || suspect.crashed.size < MAX_CRASHES) return;
    const minutes = Math.ceil((suspect.untilMs - this.#now()) / 60_000);
    throw new LlavaError(
      "quarantined",
      `This request ended ${suspect.crashed.size} workers; it is not tried again for ${minutes} minutes. Change it.`,
    );
  }

  /** Records that the process of this name ended over this body. */
  async recordCrash(body: Uint8Array, processName: string): Promise<void> {
    const key = await hashOf(body);
    const suspect = this.#suspects.get(key) ?? { length: body.length, crashed: new Set(), untilMs: 0 };
    suspect.crashed.add(processName);
    suspect.untilMs = this.#now() + EXPIRY_MS;
    // Deleted first, so that it moves to the end.
    this.#suspects.delete(key);
    this.#suspects.set(key, suspect);
    const oldest = this.#suspects.keys().next();
    if (this.#suspects.size > MAX_SUSPECTS && !oldest.done) this.#suspects.delete(oldest.value);
  }

  /** Call when the body was answered: it did not cause the crashes before. */
  async clear(body: Uint8Array): Promise<void> {
    if ((await this.#find(body)) !== null) this.#suspects.delete(await hashOf(body));
  }

  async #find(body: Uint8Array): Promise<SuspectBody | null> {
    for (const [key, { untilMs }] of this.#suspects) {
      if (untilMs > this.#now()) break;
      this.#suspects.delete(key);
    }
    if (![...this.#suspects.values()].some(({ length }) => length === body.length)) return null;
    return this.#suspects.get(await hashOf(body)) ?? null;
  }
}

/** Hashes outside of the event loop, as a body may have many megabytes. */
async function hashOf(body: Uint8Array): Promise<string> {
  // WebCrypto takes no memory that is shared between threads; bodies never are, so that this copies nothing.
  const bytes =
    body.buffer instanceof ArrayBuffer
      ? new Uint8Array(body.buffer, body.byteOffset, body.length)
      : body.slice();
  return Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("base64");
}
