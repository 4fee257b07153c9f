/** Keeps the features of images by what the vision tower sees of them, up to a limit of bytes. */
import type { Value } from "@llava/runtime";

/** Features [tokens, hidden] of all tiles of one image; in use until the lease is disposed. */
export interface Lease extends Disposable {
  readonly features: Value;
}

interface Entry {
  readonly features: Value;
  readonly bytes: number;
  leases: number;
}

/** Features in use stay whatever the limit; others go, the longest unused first. */
export class FeatureCache implements Disposable {
  readonly #limitBytes: number;
  /** Entries by key, the most recently used last. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Number of images that have leases. */
  get inUse(): number {
    return [...this.#entries.values()].filter(({ leases }) => leases > 0).length;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** Takes over the value; there must be none of this key yet. */
  add(key: string, features: Value, bytes: number): void {
    if (this.#entries.has(key)) throw new Error("The features of this image are there already.");
    this.#entries.set(key, { features, bytes, leases: 0 });
    this.#bytes += bytes;
  }

  lease(key: string): Lease | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    entry.leases += 1;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    let isHeld = true;
    return {
      features: entry.features,
      [Symbol.dispose]: () => {
        if (isHeld) entry.leases -= 1;
        isHeld = false;
        this.trim();
      },
    };
  }

  /** Forgets an image that is not in use. */
  forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.leases > 0) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
    entry.features[Symbol.dispose]();
  }

  /** Forgets what is over the limit and not in use. */
  trim(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#bytes <= this.#limitBytes) return;
      if (entry.leases === 0) this.forget(key);
    }
  }

  [Symbol.dispose](): void {
    for (const { features } of this.#entries.values()) features[Symbol.dispose]();
    this.#entries.clear();
    this.#bytes = 0;
  }
}
