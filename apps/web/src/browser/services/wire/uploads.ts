/** Uploads images, each once and by its hash, before the first question that refers to it. */
import { TEXTS } from "../../ui/texts.ts";
import type { Store } from "../store/store.ts";
import { putBlob, RequestFailed } from "./page-api.ts";

export class Uploads {
  readonly #store: Store;
  readonly #known = new Set<string>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Throws `RequestFailed`. */
  async ensure(keys: readonly string[], signal: AbortSignal): Promise<void> {
    await Promise.all(keys.filter((key) => !this.#known.has(key)).map((key) => this.#upload(key, signal)));
  }

  /**
   * Forgets which images the server has, after it reported one as missing; the next question uploads its images
   * again.
   */
  forget(): void {
    this.#known.clear();
  }

  async #upload(key: string, signal: AbortSignal): Promise<void> {
    const blob = await this.#store.image(key);
    if (blob === null) {
      const message = TEXTS.images.missing;
      throw new RequestFailed({ code: "blob_missing", message, isRetryable: false, retryAfterMs: null });
    }
    await putBlob(key, blob, signal);
    this.#known.add(key);
  }
}
