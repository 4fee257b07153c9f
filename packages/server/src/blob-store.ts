/** Keeps images that clients uploaded, by the hash of their bytes, in a bounded part of memory: a cache, not a storage. */
import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { LlavaError, imageKey } from "@llava/protocol";

export interface BlobLimits {
  /** Bytes of all blobs together. */
  readonly totalBytes: number;
  /** Bytes of one blob. */
  readonly blobBytes: number;
}

const BLOB_LIMITS: BlobLimits = { totalBytes: 256 << 20, blobBytes: 10 << 20 };

/** Cost of a blob beside its bytes, so that a store of tiny blobs is bounded, too. */
const OVERHEAD_BYTES = 1024;
/** Bytes that are hashed in one turn of the event loop: one or two milliseconds. */
const SLICE_BYTES = 1 << 20;

export class BlobStore {
  readonly limits: BlobLimits;
  /** Blobs by hash, least recently used first. */
  readonly #blobs = new Map<string, Buffer>();
  #heldBytes = 0;

  constructor(limits: Partial<BlobLimits> = {}) {
    this.limits = { ...BLOB_LIMITS, ...limits };
  }

  /** Hashes of all blobs, most recently used first. */
  get keys(): readonly string[] {
    return [...this.#blobs.keys()].toReversed();
  }

  /** Bytes that count against the limit. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  has(key: string): boolean {
    return this.#blobs.has(key);
  }

  /** The blob, which becomes the most recently used; null when it is not here. */
  get(key: string): Buffer | null {
    const bytes = this.#blobs.get(key);
    if (bytes === undefined) return null;
    this.#blobs.delete(key);
    this.#blobs.set(key, bytes);
    return bytes;
  }

  /**
   * Keeps a file under its hash and drops the least recently used blobs to make room. Returns whether the file is new.
   * @throws LlavaError `invalid_request` for another hash or an empty body, `request_too_large`
   */
  async put(key: string, bytes: Buffer): Promise<boolean> {
    this.#requireSize(bytes.length);
    const found = imageKey(await sha256Of(bytes));
    if (found !== key) {
      throw new LlavaError(
        "invalid_request",
        `The body's hash is ${found}, but the address says ${key}. Send the file to the address of its own hash.`,
      );
    }
    if (this.get(key) !== null) return false;
    // Copied, because the body may be a view of a larger buffer, all of which would be kept.
    this.#blobs.set(key, Buffer.from(bytes));
    this.#heldBytes += costOf(bytes);
    this.#dropOldest();
    return true;
  }

  #requireSize(length: number): void {
    const { blobBytes, totalBytes } = this.limits;
    if (length === 0) throw new LlavaError("invalid_request", "The body is empty; send the image's file.");
    if (length <= blobBytes && length + OVERHEAD_BYTES <= totalBytes) return;
    throw new LlavaError(
      "request_too_large",
      `The image's file is ${length} bytes long; at most ${Math.min(blobBytes, totalBytes - OVERHEAD_BYTES)} are taken. Make it smaller and send it again.`,
    );
  }

  #dropOldest(): void {
    for (const [key, bytes] of this.#blobs) {
      if (this.#heldBytes <= this.limits.totalBytes) return;
      this.#blobs.delete(key);
      this.#heldBytes -= costOf(bytes);
    }
  }
}

function costOf(bytes: Buffer): number {
  return bytes.length + OVERHEAD_BYTES;
}

async function sha256Of(bytes: Buffer): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    if (at > 0) await nextTurn();
    hash.update(bytes.subarray(at, at + SLICE_BYTES));
  }
  return hash.digest("hex");
}
