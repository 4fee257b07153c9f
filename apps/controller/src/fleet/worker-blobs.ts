/**
 * Which workers have which of the images that clients uploaded here, and sending them those that they have not. Apart from
 * the relay because what is remembered is no more than a guess: a worker's memory is bounded too.
 */
import type { BlobStore } from "@llava/server";
import { MAX_WORKERS, type Worker } from "../registry/registry.ts";
import type { WorkerClient } from "./worker-client.ts";

/** Of one worker; as many images of 256 KiB as its store holds. */
const MAX_KEYS = 1024;

export class WorkerBlobs {
  readonly #store: BlobStore;
  readonly #client: Pick<WorkerClient, "hasBlob" | "putBlob">;
  /** By registration, the one used longest ago first: a new process starts with nothing. */
  readonly #known = new Map<number, Set<string>>();

  constructor(store: BlobStore, client: Pick<WorkerClient, "hasBlob" | "putBlob">) {
    this.#store = store;
    this.#client = client;
  }

  /**
   * Sends the worker those of the images that it has not got. One that is not here either is left out: the worker may
   * have it, or says that it is missing. `isAgain`: the worker has just said so, whatever is remembered.
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
      // A worker that refuses it says itself, in answer to the request, that it is missing.
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

/** Maps and sets keep the order in which things were put in. */
function dropOldest<T>(things: Map<T, unknown> | Set<T>, most: number): void {
  if (things.size <= most) return;
  for (const oldest of things.keys()) {
    things.delete(oldest);
    return;
  }
}
