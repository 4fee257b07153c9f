/**
 * Sends workers those of the images that clients uploaded here which they lack. What it remembers about a worker may be
 * out of date, as a worker drops old images too.
 */
import type { BlobStore } from "@llava/server";
import { MAX_WORKERS, type Worker } from "../registry/registry.ts";
import type { WorkerClient } from "./worker-client.ts";

/** The number of images that are remembered for one worker: as many of 256 KiB as its store holds. */
const MAX_KEYS = 1024;

export class WorkerBlobs {
  readonly #store: BlobStore;
  readonly #client: Pick<WorkerClient, "hasBlob" | "putBlob">;
  /** The keys of the images that a worker has, by registration, as a new process starts without; the least recent first. */
  readonly #known = new Map<number, Set<string>>();

  constructor(store: BlobStore, client: Pick<WorkerClient, "hasBlob" | "putBlob">) {
    this.#store = store;
    this.#client = client;
  }

  /**
   * Sends the worker those of the images that it lacks. One that is not here either is left out: the worker may have it,
   * or answers that it is missing.
   * @param isAgain whether the worker has just answered that one is missing, whatever is remembered
   */
  async ensure(
    worker: Worker,
    keys: readonly string[],
    signal: AbortSignal,
    isAgain: boolean,
  ): Promise<void> {
    const known = this.#knownTo(worker);
    for (const key of keys) {
      if (isAgain) known.delete(key);
      if (known.has(key)) continue;
      const bytes = this.#store.get(key);
      if (bytes === null) continue;
      const hasIt = !isAgain && (await this.#client.hasBlob(worker.address, key, signal));
      // A worker that does not take the image answers the request with an error of its own.
      if (hasIt || (await this.#client.putBlob(worker.address, key, bytes, signal))) remember(known, key);
    }
  }

  #knownTo({ registration }: Worker): Set<string> {
    const known = this.#known.get(registration) ?? new Set<string>();
    this.#known.delete(registration);
    this.#known.set(registration, known);
    dropOldest(this.#known, MAX_WORKERS);
    return known;
  }
}

function remember(known: Set<string>, key: string): void {
  known.add(key);
  dropOldest(known, MAX_KEYS);
}

/** Removes the entry that was put in first, which is the first one of a map or a set. */
function dropOldest<T>(things: Map<T, unknown> | Set<T>, most: number): void {
  if (things.size <= most) return;
  for (const oldest of things.keys()) {
    things.delete(oldest);
    return;
  }
}
