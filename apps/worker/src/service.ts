/** What one worker process owns — engine, admission, shutdown — and how a request passes through them to its one ending. */
import type { Engine, EngineEvent, GenerateRequest } from "@llava/engine";
import { LlavaError, toLlavaError, type WorkerStatus } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import { Admission, type AdmissionLimits } from "./admission.ts";

export interface ServiceOptions {
  readonly engine: Engine;
  /** The name that requests must ask for. */
  readonly modelName: string;
  readonly limits: AdmissionLimits;
}

export class Service {
  readonly engine: Engine;
  readonly modelName: string;
  readonly admission: Admission;
  /** Unix seconds. */
  readonly startedS = Math.floor(Date.now() / 1000);
  readonly #cut = new AbortController();

  constructor(options: ServiceOptions) {
    this.engine = options.engine;
    this.modelName = options.modelName;
    this.admission = new Admission(options.limits);
  }

  status(): WorkerStatus {
    return { model_names: [this.modelName], speed: 1, queue_length: this.admission.queueLength };
  }

  /**
   * The events of one request, from waiting for a place to exactly one terminal event; never throws. `signal` (the client
   * left) stops the engine before its next step and gives the place to the next in line.
   */
  async *answer(
    request: GenerateRequest,
    signal: AbortSignal,
    log: FastifyBaseLogger,
  ): AsyncGenerator<EngineEvent, void, undefined> {
    const startedMs = performance.now();
    let outcome: object = { outcome: "left" };
    try {
      for await (const event of this.#generate(request, AbortSignal.any([signal, this.#cut.signal]))) {
        if (event.type === "finished") outcome = { outcome: event.reason, ...event.usage };
        if (event.type === "error") outcome = { outcome: event.error.code };
        yield event;
      }
    } finally {
      log.info(
        { ...outcome, numImages: request.images.length, ms: Math.round(performance.now() - startedMs) },
        "request",
      );
    }
  }

  /** Ends what still runs; each client is told `shutting_down`. */
  cutOff(): void {
    this.#cut.abort();
  }

  async *#generate(
    request: GenerateRequest,
    signal: AbortSignal,
  ): AsyncGenerator<EngineEvent, void, undefined> {
    try {
      using _permit = await this.admission.acquire(signal);
      for await (const event of this.engine.generate(request, signal)) {
        if (event.type === "error" && this.#cut.signal.aborted) yield { type: "error", error: stopping() };
        else yield event;
      }
    } catch (thrown) {
      yield { type: "error", error: toLlavaError(thrown) };
    }
  }
}

function stopping(): LlavaError {
  return new LlavaError("shutting_down", "The worker was stopped before the answer was complete. Ask again.");
}
