/** WorkerService owns what a worker process serves: its backend, its shutdown, and the way of a request to its one ending. */
import { randomUUID } from "node:crypto";
import { version } from "@llava/server";
import type {
  Backend,
  BackendRequest,
  ChoiceEvent,
  LoadProgress,
  OcclusionEvent,
  OcclusionRequest,
  Usage,
} from "@llava/backend";
import { LlavaError, toLlavaError, type WorkerStatus } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import type { Occupation } from "../metrics/instruments.ts";
import { createWorkerMetrics, type Measured, type WorkerMetrics } from "../metrics/worker-metrics.ts";
import { uploadedOnly, type ImageSources } from "../images/request-images.ts";
import { promptForLog } from "./prompt-log.ts";
import type { RequestProgress } from "./request-progress.ts";
import { lacking, requireCapabilities } from "./require-capabilities.ts";
import { sumUsage } from "./usage.ts";

export interface WorkerServiceOptions {
  /** Absent while it is being loaded: requests are refused with `loading` until `open` brings it. */
  readonly backend?: Backend;
  /** The name that requests must ask for. */
  readonly modelName: string;
  /** Whether prompts go into the log; images never do. */
  readonly logsPrompts?: boolean;
  /** Sources of images beside the requests; uploads alone when absent. */
  readonly images?: ImageSources;
}

/** How busy the worker is; zeros while the model is being loaded. */
export interface WorkerLoad {
  /** Requests that are admitted. */
  readonly running: number;
  /** Requests that wait to be admitted. */
  readonly waiting: number;
}

export class WorkerService {
  readonly modelName: string;
  readonly metrics: WorkerMetrics;
  readonly images: ImageSources;
  /** Unix seconds. */
  readonly startedS = Math.floor(Date.now() / 1000);
  /** Progress of loading the model; meaningless once it is loaded. */
  loadProgress: LoadProgress = { phase: "start", done: 0, total: 1 };
  /** Id of this process, by which controllers tell it from its predecessor at the same address. */
  readonly incarnation = randomUUID();
  readonly #logsPrompts: boolean;
  readonly #version = version();
  readonly #abort = new AbortController();
  /** Requests that are not answered to their end yet, read by their clients included. */
  #numUnfinished = 0;
  #whenIdle: (() => void)[] = [];
  #isDraining = false;
  #backend: Backend | null;

  constructor(options: WorkerServiceOptions) {
    this.#backend = options.backend ?? null;
    this.modelName = options.modelName;
    this.metrics = createWorkerMetrics(this.modelName, () => this.occupation);
    this.#logsPrompts = options.logsPrompts ?? false;
    this.images = options.images ?? uploadedOnly();
  }

  /** Throws `loading` while there is none. */
  get backend(): Backend {
    if (this.#backend === null) throw this.loadingError();
    return this.#backend;
  }

  loadingError(): LlavaError {
    const { phase, done, total } = this.loadProgress;
    return new LlavaError(
      "loading",
      `The model ${this.modelName} is being loaded: ${phase}, ${done} of ${total}. Ask again in a moment.`,
    );
  }

  get state(): "loading" | "draining" | "ready" {
    if (this.#isDraining || this.#backend?.queue.isDraining === true) return "draining";
    return this.#backend === null ? "loading" : "ready";
  }

  get load(): WorkerLoad {
    return { running: this.#backend?.queue.running ?? 0, waiting: this.#backend?.queue.waiting ?? 0 };
  }

  /** Null while there is no model. */
  get occupation(): Occupation | null {
    if (this.#backend === null) return null;
    const { occupancy, queue } = this.#backend;
    // A request of several choices owns several slots, and is one request.
    const running = Math.min(occupancy.running, queue.running);
    const waiting = queue.running + queue.waiting - running;
    return { running, waiting, slots: occupancy.slots, cacheUse: occupancy.cacheUse };
  }

  /** Whole seconds after which a refused client should try again. */
  retryAfterS(): number {
    return this.#backend?.queue.retryAfterS() ?? 1;
  }

  /** The model is loaded: from now on requests are served. */
  open(backend: Backend): void {
    this.#backend = backend;
  }

  status(): WorkerStatus {
    // A worker without its model must not be taken for one that can serve.
    const { queue, capabilities } = this.backend;
    const { running, waiting, limits } = queue;
    return {
      model_names: [this.modelName],
      speed: 1,
      queue_length: running + waiting,
      incarnation: this.incarnation,
      state: this.state === "draining" ? "draining" : "ready",
      load: { running, waiting, max_running: limits.concurrency, max_waiting: limits.maxWaiting },
      version: this.#version,
      uptime_s: Math.round(performance.now() / 1000),
      tokens_per_s: this.metrics.tokensPerSecond(),
      capabilities: { resume: capabilities.resume, blobs: true },
    };
  }

  /**
   * The events of one request, from waiting in the queue to one terminal event for each choice, or an error as the last
   * event of all; never throws. `signal` (the client left) ends the work at once. To the metrics each choice is a request of
   * its own.
   */
  async *answer(
    request: BackendRequest,
    signal: AbortSignal,
    log: FastifyBaseLogger,
    progress: RequestProgress | null = null,
  ): AsyncGenerator<ChoiceEvent, void, undefined> {
    const startedMs = performance.now();
    const { choices = 1, images } = request;
    // Images are counted once: they are the same for all choices.
    const measured = Array.from({ length: choices }, (_, i) =>
      this.metrics.begin(i === 0 ? request : { ...request, images: [] }),
    );
    let outcome: object = { outcome: "left" };
    const usages: Usage[] = [];
    this.#numUnfinished += 1;
    try {
      for await (const { index, event } of this.#generate(request, signal, measured, progress)) {
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
      this.#finish();
      for (const one of measured) one.end();
      const prompt = this.#logsPrompts ? { prompt: promptForLog(request.prompt) } : {};
      const ms = Math.round(performance.now() - startedMs);
      const several = choices > 1 ? { numAnswers: choices } : {};
      log.info({ ...outcome, ...several, numImages: images.length, ms, ...prompt }, "request");
    }
  }

  /** An occlusion map, computed behind all requests that wait. Throws LlavaErrors. */
  async *occlusionMap(
    request: OcclusionRequest,
    signal: AbortSignal,
    log: FastifyBaseLogger,
  ): AsyncGenerator<OcclusionEvent, void, undefined> {
    const startedMs = performance.now();
    let outcome = "left";
    this.#numUnfinished += 1;
    try {
      const { backend } = this;
      const events = backend.occlusionMap?.(request, AbortSignal.any([signal, this.#abort.signal]));
      if (!backend.capabilities.occlusion_maps || events === undefined)
        throw lacking("model", "occlusion maps");
      for await (const event of events) {
        if (event.type === "map") outcome = "done";
        yield event;
      }
    } catch (thrown) {
      const error = this.#abort.signal.aborted ? aborted() : toLlavaError(thrown);
      outcome = error.code;
      throw error;
    } finally {
      this.#finish();
      log.info({ outcome, ms: Math.round(performance.now() - startedMs) }, "occlusion map");
    }
  }

  /** Reports from now on that it takes nothing new, and still takes requests that controllers sent before they read that. */
  announceDrain(): void {
    this.#isDraining = true;
  }

  /** Refuses everything new and everything that waits; what runs may finish. */
  drain(): void {
    this.#isDraining = true;
    this.#backend?.queue.drain();
  }

  /** Resolves when every request is answered to its end. */
  async idle(): Promise<void> {
    if (this.#numUnfinished === 0) return;
    await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** Ends what still runs, each request with `shutting_down`. */
  abort(): void {
    this.#abort.abort();
  }

  #finish(): void {
    this.#numUnfinished -= 1;
    if (this.#numUnfinished === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  async *#generate(
    request: BackendRequest,
    signal: AbortSignal,
    measured: readonly Measured[],
    progress: RequestProgress | null,
  ): AsyncGenerator<ChoiceEvent, void, undefined> {
    try {
      const { backend } = this;
      requireCapabilities(backend.capabilities, request);
      const watched = {
        ...request,
        ...progress?.callbacks,
        onAdmitted: () => {
          for (const one of measured) one.admitted();
        },
      };
      const stop = AbortSignal.any([signal, this.#abort.signal]);
      for await (const { index, event } of backend.generate(watched, stop)) {
        const isAborted = event.type === "error" && this.#abort.signal.aborted;
        yield { index, event: isAborted ? { type: "error", error: aborted() } : event };
      }
    } catch (thrown) {
      yield { index: 0, event: { type: "error", error: toLlavaError(thrown) } };
    }
  }
}

function aborted(): LlavaError {
  return new LlavaError("shutting_down", "The worker was stopped before the answer was complete. Ask again.");
}
