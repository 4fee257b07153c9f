/**
 * Keeps uploaded images for the conversation log, which names them by MD5 as LLaVA does. The controller has them too,
 * but gives none back.
 */
import { createHash } from "node:crypto";

import { BlobStore } from "@llava/server";
import { detectFormat } from "@llava/protocol";

import type { LoggedImage } from "./conversation-record.ts";

/** Most bytes of files; a file waits from its upload until the first answer about it has ended. */
const MAX_BYTES = 64 << 20;
/** Most names, which are kept longer than the files. */
const MAX_NAMES = 10_000;
const EXTENSIONS = { jpeg: "jpg", png: "png", webp: "webp" } as const;

export class LoggedImages {
  readonly #files: BlobStore;
  /** Names by key, the oldest first. */
  readonly #names = new Map<string, Omit<LoggedImage, "bytes">>();

  constructor(maxBytes = MAX_BYTES) {
    this.#files = new BlobStore({ totalBytes: maxBytes });
  }

  /** Throws `LlavaError` for a file that is no image, is too large, or does not match its key. */
  async put(key: string, bytes: Buffer): Promise<void> {
    const extension = EXTENSIONS[detectFormat(bytes)];
    await this.#files.put(key, bytes);
    this.#names.delete(key);
    this.#names.set(key, { md5: createHash("md5").update(bytes).digest("hex"), extension });
    for (const oldest of this.#names.keys()) {
      if (this.#names.size <= MAX_NAMES) return;
      this.#names.delete(oldest);
    }
  }

  /** The image of a key; null when even its name is no longer known. */
  get(key: string): LoggedImage | null {
    const name = this.#names.get(key);
    return name === undefined ? null : { ...name, bytes: this.#files.get(key) };
  }
}
