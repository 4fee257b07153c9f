/** What is being done with a question before its first word: told by admission and engine, asked by the answer's stream. */
import type { AnswerProgress } from "@llava/protocol";
import type { Place } from "./admission.ts";

export class Preparation {
  #place: () => Place | null = () => null;
  #reading: AnswerProgress | null = null;

  /** It has to wait for its turn. */
  readonly queued = (place: () => Place | null): void => {
    this.#place = place;
  };

  /** Of the prompt's positions these are computed. */
  readonly prefilled = (done: number, total: number): void => {
    this.#reading = { kind: "reading", done, total };
  };

  /** Null where there is nothing to say. */
  get now(): AnswerProgress | null {
    const place = this.#place();
    return place === null ? this.#reading : { kind: "queued", ...place };
  }
}
