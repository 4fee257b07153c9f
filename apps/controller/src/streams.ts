/** The answers under way, apart because two things end one from outside: its client leaves, or the controller stops. */
import type { ServerResponse } from "node:http";
import { LlavaError } from "@llava/protocol";

export class Streams {
  readonly #running = new Map<AbortController, Promise<void>>();

  get size(): number {
    return this.#running.size;
  }

  /** Runs `answer` with a signal that aborts, with a LlavaError as reason, when the client leaves or `abortAll` is called. */
  async run(response: ServerResponse, answer: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const controller = new AbortController();
    const leave = (): void => {
      if (!response.writableFinished) controller.abort(new LlavaError("cancelled", "The client went away."));
    };
    response.once("close", leave);
    if (response.destroyed) leave();
    const running = answer(controller.signal).finally(() => {
      response.off("close", leave);
      this.#running.delete(controller);
    });
    this.#running.set(controller, running);
    await running;
  }

  /** Resolves when none is left. */
  async allEnded(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running.values());
  }

  abortAll(reason: LlavaError): void {
    for (const controller of this.#running.keys()) controller.abort(reason);
  }
}
