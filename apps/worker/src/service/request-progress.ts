/** RequestProgress keeps how far a request is before its first token, for the comments of its stream. */
import type { AnswerProgress } from "@llava/protocol";
import type { GenerateRequest, QueuePlace } from "@llava/backend";

export class RequestProgress {
  #place: () => QueuePlace | null = () => null;
  #prefill: AnswerProgress | null = null;

  /** The fields of a backend's request that report to this object. */
  readonly callbacks: Pick<GenerateRequest, "onQueued" | "onPrefill"> = {
    onQueued: (place) => {
      this.#place = place;
    },
    onPrefill: (done, total) => {
      this.#prefill = { kind: "reading", done, total };
    },
  };

  /** Null where there is nothing to report. */
  get current(): AnswerProgress | null {
    const place = this.#place();
    return place === null ? this.#prefill : { kind: "queued", ...place };
  }
}
