/** Weight threads share the jobs on whole tensors out among them. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { LlavaError } from "@llava/protocol";
import type { Checksums, ThreadAnswer, WeightJob } from "./weight-job.ts";

export interface WeightThreadOptions {
  /** Takes the bytes of the sources that were read since the last call. */
  readonly onBytes?: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** More threads than this wait for the disk, not for a core. */
const MAX_THREADS = 8;
/** Starting a thread takes as long as about so many bytes take it. */
const BYTES_PER_THREAD = 1 << 24;

/**
 * The checksums of each job, in the order of the jobs. The first job that fails ends all: with `invalid_checkpoint` when
 * a source is damaged, with `runtime_failure` for the rest (a full disk). Rejects with the signal's reason when aborted.
 */
export async function runWeightJobs(
  jobs: readonly WeightJob[],
  { onBytes = () => {}, signal }: WeightThreadOptions = {},
): Promise<Checksums[]> {
  signal?.throwIfAborted();
  const results: Checksums[] = [];
  // Large tensors first: none of them may be left alone at the end.
  const order = jobs
    .map((job, index) => ({ job, index }))
    .sort((a, b) => b.job.source.length - a.job.source.length);
  const bytes = jobs.reduce((sum, { source }) => sum + source.length, 0);
  const numThreads = Math.min(
    MAX_THREADS,
    availableParallelism(),
    jobs.length,
    Math.ceil((bytes + 1) / BYTES_PER_THREAD),
  );
  const threads = Array.from({ length: numThreads }, () => new WeightThread(onBytes));
  const onAbort = (): void => threads.forEach((thread) => thread.stop());
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.all(
      threads.map(async (thread) => {
        for (let next = order.shift(); next; next = order.shift())
          results[next.index] = await thread.run(next.job);
      }),
    );
    return results;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    // Until the last has ended, a file that it writes to may not be taken away.
    await Promise.all(threads.map((thread) => thread.end()));
  }
}

class WeightThread {
  readonly #worker = new Worker(new URL("./weight-thread.ts", import.meta.url));
  readonly #onBytes: (bytes: number) => void;
  readonly #gone: Promise<never>;

  constructor(onBytes: (bytes: number) => void) {
    this.#onBytes = onBytes;
    this.#gone = new Promise((_, reject) => {
      this.#worker.once("error", (cause) => reject(threadFailure(cause.message, cause)));
      this.#worker.once("exit", (code) => reject(threadFailure(`it ended with code ${code}`)));
    });
    // The thread also ends when no job waits for it; that is no unhandled rejection.
    this.#gone.catch(() => {});
  }

  async run(job: WeightJob): Promise<Checksums> {
    const { promise, resolve, reject } = Promise.withResolvers<Checksums>();
    const listen = (answer: ThreadAnswer): void => {
      switch (answer.type) {
        case "progress":
          return this.#onBytes(answer.bytes);
        case "done":
          return resolve(answer.checksums);
        case "damaged":
          return reject(new LlavaError("invalid_checkpoint", answer.message));
        case "failed":
          return reject(threadFailure(answer.message));
      }
    };
    this.#worker.on("message", listen);
    try {
      this.#worker.postMessage(job);
      return await Promise.race([promise, this.#gone]);
    } finally {
      this.#worker.off("message", listen);
    }
  }

  stop(): void {
    void this.end();
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

function threadFailure(reason: string, cause?: unknown): LlavaError {
  return new LlavaError(
    "runtime_failure",
    `A thread that reads the weights failed: ${reason}. Load the model again.`,
    cause === undefined ? {} : { cause },
  );
}
