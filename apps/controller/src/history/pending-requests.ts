/** Remembers the requests whose clients have nothing yet, and since when. */
import type { ClusterUnanswered } from "@llava/protocol";

const MAX_SHOWN = 20;

interface PendingRequest {
  readonly model: string;
  readonly isStream: boolean;
  /** When it came, in milliseconds of `performance.now()`. */
  readonly startedMs: number;
}

export class PendingRequests {
  /** The address of the worker that was asked last for each request; the request that came first is the first. */
  readonly #workers = new Map<PendingRequest, string>();

  /** Call when a worker is asked, and again when another one is asked after it. */
  asked(request: PendingRequest, worker: string): void {
    this.#workers.set(request, worker);
  }

  /** Call when the first data goes out to the client, or when the request has ended without any. */
  answered(request: PendingRequest): void {
    this.#workers.delete(request);
  }

  get shown(): ClusterUnanswered {
    const oldest = [...this.#workers].slice(0, MAX_SHOWN).map(([{ model, isStream, startedMs }, worker]) => ({
      model,
      worker,
      stream: isStream,
      waited_s: (performance.now() - startedMs) / 1000,
    }));
    return { total: this.#workers.size, oldest };
  }
}
