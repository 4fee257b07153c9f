/** The requests whose clients have nothing yet, for whoever wonders who waits, and for how long. */
import type { ClusterUnanswered } from "@llava/protocol";

const MAX_SHOWN = 20;

interface UnansweredRequest {
  readonly model: string;
  readonly isStream: boolean;
  /** When it came, by `performance.now()`. */
  readonly startedMs: number;
}

export class Unanswered {
  /** The address of the worker that was asked last for each, in the order in which the first one was. */
  readonly #workers = new Map<UnansweredRequest, string>();

  /** A worker is asked; again when the one before it had nothing to say. */
  asked(request: UnansweredRequest, worker: string): void {
    this.#workers.set(request, worker);
  }

  /** Something goes out to the client, or nothing will any more. */
  answered(request: UnansweredRequest): void {
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
