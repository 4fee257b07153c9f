/** What one worker process owns — engine, admission, shutdown — and how a request passes through them to its one ending. */
import { randomUUID } from "node:crypto";
import { version } from "@llava/server";
import type {
  Engine,
  EngineEvent,
  GenerateRequest,
  LoadProgress,
  OcclusionEvent,
  OcclusionRequest,
  Usage,
} from "@llava/engine";
import { LlavaError, toLlavaError, type WorkerCapabilities, type WorkerStatus } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import { Admission, type AdmissionLimits } from "./admission.ts";
import type { Occupation } from "../metrics/instruments.ts";
import { interleave } from "./interleave.ts";
import type { Preparation } from "./request-progress.ts";
import { promptForLog } from "./prompt-log.ts";
import { uploadedOnly, type ImageSources } from "../images/request-images.ts";
import { sumUsage } from "./usage.ts";
import { createWorkerMetrics, type Measured, type WorkerMetrics } from "../metrics/worker-metrics.ts";

export interface ServiceOptions {
  /** Absent while it is being loaded: requests are told so until `open` brings it. */
  readonly engine?: Engine;
  /** The name that requests must ask for. */
  readonly modelName: string;
  readonly limits: AdmissionLimits;
  /** Whether what was asked goes into the log; images never do. */
  readonly logsPrompts?: boolean;
  /** Where images come from beside the requests; uploads alone when absent. */
  readonly images?: ImageSources;
}

/** An event of one of the answers to a question. */
export interface ChoiceEvent {
  readonly index: number;
  readonly event: EngineEvent;
}

/** Behind the priorities of requests, which are from 0 to 100. */
const AFTER_ALL = 1_000;

/** What controllers may ask of this worker beyond the original's. */
const CAPABILITIES: WorkerCapabilities = { resume: true, blobs: true };

export class Service {
  readonly modelName: string;
  readonly admission: Admission;
  readonly metrics: WorkerMetrics;
  readonly images: ImageSources;
  /** Unix seconds. */
  readonly startedS = Math.floor(Date.now() / 1000);
  /** Of the model; meaningless once it is there. */
  loadProgress: LoadProgress = { phase: "start", done: 0, total: 1 };
  readonly #logsPrompts: boolean;
  /** Of this process, so that controllers tell it from its predecessor at the same address. */
  readonly incarnation = randomUUID();
  readonly #version = version();
  readonly #cut = new AbortController();
  #isRetiring = false;
  #engine: Engine | null;

  constructor(options: ServiceOptions) {
    this.#engine = options.engine ?? null;
    this.modelName = options.modelName;
    this.admission = new Admission(options.limits);
    this.metrics = createWorkerMetrics(this.modelName, () => this.occupation);
    this.#logsPrompts = options.logsPrompts ?? false;
    this.images = options.images ?? uploadedOnly();
  }

  /** Throws `loading` while there is none. */
  get engine(): Engine {
    if (this.#engine === null) throw this.loadingError();
    return this.#engine;
  }

  loadingError(): LlavaError {
    const { phase, done, total } = this.loadProgress;
    return new LlavaError(
      "loading",
      `The model ${this.modelName} is being loaded: ${phase}, ${done} of ${total}. Ask again in a moment.`,
    );
  }

  get state(): "loading" | "draining" | "ready" {
    if (this.#isRetiring || this.admission.draining) return "draining";
    return this.#engine === null ? "loading" : "ready";
  }

  /** Null while there is no model. */
  get occupation(): Occupation | null {
    if (this.#engine === null) return null;
    const { occupancy, progress, info } = this.#engine;
    // What the engine has finished with and its reader not yet is neither.
    const running = Math.min(occupancy.running, this.admission.running);
    const numCached = progress.reduce((sum, { cachedTokens }) => sum + cachedTokens, 0);
    return {
      running,
      waiting: this.admission.queueLength - running,
      slots: occupancy.slots,
      cacheUse: numCached / (occupancy.slots * info.contextLength),
    };
  }

  /** The model is there: from now on requests are served. */
  open(engine: Engine): void {
    this.#engine = engine;
  }

  status(): WorkerStatus {
    const { running, waiting, draining, limits, queueLength } = this.admission;
    // One without its model must not be taken for one that can serve.
    if (this.#engine === null) throw this.loadingError();
    return {
      model_names: [this.modelName],
      speed: 1,
      queue_length: queueLength,
      incarnation: this.incarnation,
      state: this.#isRetiring || draining ? "draining" : "ready",
      load: { running, waiting, max_running: limits.concurrency, max_waiting: limits.maxWaiting },
      version: this.#version,
      uptime_s: Math.round(performance.now() / 1000),
      tokens_per_s: this.metrics.tokensPerSecond(),
      capabilities: CAPABILITIES,
    };
  }

  /** Says from now on that it takes nothing new, and still takes what comes before everybody has heard. */
  retire(): void {
    this.#isRetiring = true;
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
    for await (const { event } of this.answers([request], signal, log)) yield event;
  }

  /**
   * The same for several answers to one question, in one place together: one terminal event for each, or an error as the
   * last event of all. To the metrics each is a request of its own. `preparation` is told how far the first one is.
   */
  async *answers(
    requests: readonly GenerateRequest[],
    signal: AbortSignal,
    log: FastifyBaseLogger,
    preparation: Preparation | null = null,
  ): AsyncGenerator<ChoiceEvent, void, undefined> {
    const startedMs = performance.now();
    // Images are counted once: they are the same in all.
    const measured = requests.map((request, i) =>
      this.metrics.begin(i === 0 ? request : { ...request, images: [] }),
    );
    let outcome: object = { outcome: "left" };
    const usages: Usage[] = [];
    try {
      const stop = AbortSignal.any([signal, this.#cut.signal]);
      for await (const { index, event } of this.#generate(requests, stop, measured, preparation)) {
        measured[index]?.event(event);
        if (event.type === "finished") {
          usages.push(event.usage);
          outcome = { outcome: event.reason, ...sumUsage(usages) };
        }
        if (event.type === "error") outcome = { outcome: event.error.code };
        yield { index, event };
        if (event.type === "error") return;
      }
    } finally {
      for (const one of measured) one.end();
      const [request] = requests;
      const prompt = this.#logsPrompts && request ? { prompt: promptForLog(request.prompt) } : {};
      const ms = Math.round(performance.now() - startedMs);
      const numImages = request?.images.length ?? 0;
      const several = requests.length > 1 ? { numAnswers: requests.length } : {};
      log.info({ ...outcome, ...several, numImages, ms, ...prompt }, "request");
    }
  }

  /** A map of an image, in turns behind everybody else's. Throws LlavaErrors. */
  async *occlusionMap(
    request: OcclusionRequest,
    signal: AbortSignal,
    log: FastifyBaseLogger,
  ): AsyncGenerator<OcclusionEvent, void, undefined> {
    const startedMs = performance.now();
    let outcome = "left";
    try {
      const stop = AbortSignal.any([signal, this.#cut.signal]);
      const turn = async (ending: AbortSignal): Promise<Disposable> =>
        await this.admission.acquire(ending, AFTER_ALL);
      for await (const event of this.engine.occlusionMap(request, turn, stop)) {
        if (event.type === "map") outcome = "done";
        yield event;
      }
    } catch (thrown) {
      const error = this.#cut.signal.aborted ? stopping() : toLlavaError(thrown);
      outcome = error.code;
      throw error;
    } finally {
      log.info({ outcome, ms: Math.round(performance.now() - startedMs) }, "occlusion map");
    }
  }

  /** Ends what still runs; each client is told `shutting_down`. */
  cutOff(): void {
    this.#cut.abort();
  }

  async *#generate(
    requests: readonly GenerateRequest[],
    signal: AbortSignal,
    measured: readonly Measured[],
    preparation: Preparation | null,
  ): AsyncGenerator<ChoiceEvent, void, undefined> {
    try {
      const { engine } = this;
      using _permit = await this.admission.acquire(signal, requests[0]?.priority, preparation?.queued);
      for (const one of measured) one.admitted();
      const told = preparation === null ? {} : { onPrefill: preparation.prefilled };
      const events = interleave(
        requests.map((request, index) =>
          engine.generate(index === 0 ? { ...request, ...told } : request, signal),
        ),
      );
      for await (const { index, value: event } of events) {
        const isCut = event.type === "error" && this.#cut.signal.aborted;
        yield { index, event: isCut ? { type: "error", error: stopping() } : event };
      }
    } catch (thrown) {
      yield { index: 0, event: { type: "error", error: toLlavaError(thrown) } };
    }
  }
}

function stopping(): LlavaError {
  return new LlavaError("shutting_down", "The worker was stopped before the answer was complete. Ask again.");
}
