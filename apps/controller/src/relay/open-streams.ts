/**
 * Runs the answers that are under way with a signal each, because three things end one from outside: its client leaves, its
 * time is up, or the controller stops.
 */
import type { ServerResponse } from "node:http";
import { LlavaError } from "@llava/protocol";

export class OpenStreams {
  readonly #running = new Map<AbortController, Promise<void>>();
  readonly #totalMs: number;

  /** @param totalMs the longest time of one answer, from its request's arrival to its last byte */
  constructor(totalMs: number) {
    this.#totalMs = totalMs;
  }

  get size(): number {
    return this.#running.size;
  }

  /**
   * Runs `answer` with a signal that aborts, with a LlavaError as reason, when the client leaves, when the time is up and
   * when `abortAll` is called.
   */
  async run(response: ServerResponse, answer: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const controller = new AbortController();
    const leave = (): void => {
      if (!response.writableFinished) controller.abort(new LlavaError("cancelled", "The client went away."));
    };
    const deadline = setTimeout(() => controller.abort(tooLong(this.#totalMs)), this.#totalMs);
    response.once("close", leave);
    if (response.destroyed) leave();
    const running = answer(controller.signal).finally(() => {
      clearTimeout(deadline);
      response.off("close", leave);
      this.#running.delete(controller);
    });
    this.#running.set(controller, running);
    await running;
  }

  /** Resolves when no answer is under way. */
  async allEnded(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running.values());
  }

  abortAll(reason: LlavaError): void {
    for (const controller of this.#running.keys()) controller.abort(reason);
  }
}

function tooLong(totalMs: number): LlavaError {
  const sentence = `The answer took longer than the ${totalMs / 1000} s that one may take here. Ask for a shorter one with max_tokens.`;
  return new LlavaError("timeout", sentence);
}
