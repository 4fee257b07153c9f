/**
 * Requests that end the workers that are asked to answer them: two processes gone over the same body, and nobody is asked
 * again for a while. Apart because only here what happened to one request matters to the next. Bodies are known by their
 * hash; nothing is hashed before a worker was lost.
 */
import { LlavaError } from "@llava/protocol";

/** Processes that may end over a body before it is refused. */
const MAX_VICTIMS = 2;
const EXPIRY_MS = 600_000;
/** Beyond so many the oldest is forgotten. */
const MAX_SUSPECTS = 1_024;

interface Suspect {
  readonly length: number;
  readonly victims: Set<string>;
  untilMs: number;
}

export class Quarantine {
  readonly #now: () => number;
  /** By hash; the one blamed last is the last. */
  readonly #suspects = new Map<string, Suspect>();

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
    if (suspect === null || suspect.victims.size < MAX_VICTIMS) return;
    const minutes = Math.ceil((suspect.untilMs - this.#now()) / 60_000);
    throw new LlavaError(
      "quarantined",
      `This request ended ${suspect.victims.size} workers; it is not tried again for ${minutes} minutes. Change it.`,
    );
  }

  /** The worker's process ended over this body. */
  async blame(body: Uint8Array, victim: string): Promise<void> {
    const key = await hashOf(body);
    const suspect = this.#suspects.get(key) ?? { length: body.length, victims: new Set(), untilMs: 0 };
    suspect.victims.add(victim);
    suspect.untilMs = this.#now() + EXPIRY_MS;
    // Deleted first, so that it moves to the end.
    this.#suspects.delete(key);
    this.#suspects.set(key, suspect);
    const oldest = this.#suspects.keys().next();
    if (this.#suspects.size > MAX_SUSPECTS && !oldest.done) this.#suspects.delete(oldest.value);
  }

  /** The body was answered: what happened before was not its fault. */
  async absolve(body: Uint8Array): Promise<void> {
    if ((await this.#find(body)) !== null) this.#suspects.delete(await hashOf(body));
  }

  async #find(body: Uint8Array): Promise<Suspect | null> {
    for (const [key, { untilMs }] of this.#suspects) {
      if (untilMs > this.#now()) break;
      this.#suspects.delete(key);
    }
    if (![...this.#suspects.values()].some(({ length }) => length === body.length)) return null;
    return this.#suspects.get(await hashOf(body)) ?? null;
  }
}

/** Not on the event loop: a body may be of many megabytes. */
async function hashOf(body: Uint8Array): Promise<string> {
  // A copy where the bytes might be shared, which they never are here.
  const bytes =
    body.buffer instanceof ArrayBuffer
      ? new Uint8Array(body.buffer, body.byteOffset, body.length)
      : body.slice();
  return Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("base64");
}
