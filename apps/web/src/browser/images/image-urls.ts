/**
 * Keeps object URLs of the images in the database, a bounded number of them because each holds a file in memory until
 * it is revoked.
 */
import type { Store } from "../services/store/store.ts";

/** More images than a screen shows. */
const MAX_URLS = 128;

export class ImageUrls {
  readonly #store: Store;
  /** The least recently used first. */
  readonly #urls = new Map<string, Promise<string | null>>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** The URL of an image; null when the database no longer has it. */
  async of(key: string): Promise<string | null> {
    const url = this.#urls.get(key) ?? this.#open(key);
    this.#urls.delete(key);
    this.#urls.set(key, url);
    if (this.#urls.size > MAX_URLS) {
      const [oldest] = this.#urls;
      if (oldest !== undefined) {
        this.#urls.delete(oldest[0]);
        void oldest[1].then((old) => old !== null && URL.revokeObjectURL(old));
      }
    }
    return await url;
  }

  async #open(key: string): Promise<string | null> {
    const blob = await this.#store.image(key);
    return blob === null ? null : URL.createObjectURL(blob);
  }
}
