/** Many requests on one model. The loop is schedule → run → sample → commit; only `run` is awaited. */
import { Checkpoint } from "@llava/checkpoint";
import { type ModelFolder, openModelFolder } from "@llava/model";
import { LlavaError, toLlavaError } from "@llava/protocol";
import { parseDevice, RuntimeError, type SessionOptions } from "@llava/runtime";
import { Decoder } from "./decoder.ts";
import { Encoder } from "./encoder.ts";
import { prepare } from "./prepare.ts";
import type { EngineEvent, GenerateRequest } from "./request.ts";
import { type Results, Runner } from "./runner.ts";
import { sampleToken } from "./sampler.ts";
import { type Plan, schedule } from "./scheduler.ts";
import type { Sequence } from "./sequence.ts";

export interface LoadProgress {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

export interface EngineOptions {
  /** "cpu" (default), "cuda", "cuda:1", "webgpu". */
  readonly device?: string;
  /** Threads of one operator on the CPU; default: the physical cores. */
  readonly threads?: number;
  /** Requests that may wait; one more is refused with `overloaded`. Default 64. */
  readonly maxWaiting?: number;
  /** A template of the conversation table, instead of the model's own. */
  readonly conversation?: string;
  readonly onProgress?: (progress: LoadProgress) => void;
}

export interface EngineInfo {
  readonly name: string;
  readonly contextLength: number;
  readonly tokensPerImage: number;
  readonly conversation: string;
  /** The model card (README.md of the model's folder). */
  readonly card: string | null;
}

export interface Occupancy {
  readonly running: number;
  readonly waiting: number;
  readonly slots: number;
}

/** Sequences that are computed at once. */
const SLOTS = 1;
/** Positions of one prompt chunk: long enough for the matrix kernels, short enough to stop soon. */
const CHUNK_TOKENS = 256;
const DEFAULT_MAX_WAITING = 64;

export class Engine implements AsyncDisposable {
  readonly info: EngineInfo;
  readonly #model: ModelFolder;
  readonly #runner: Runner;
  readonly #maxWaiting: number;
  readonly #waiting: Sequence[] = [];
  readonly #running: Sequence[] = [];
  /** Requests whose pictures are being decoded. */
  #preparing = 0;
  #loop: Promise<void> | undefined;
  #isLooping = false;
  #isDisposed = false;

  private constructor(model: ModelFolder, runner: Runner, options: EngineOptions) {
    const { description } = model;
    this.#model = model;
    this.#runner = runner;
    this.#maxWaiting = options.maxWaiting ?? DEFAULT_MAX_WAITING;
    this.info = {
      name: description.name,
      contextLength: description.text.contextLength,
      tokensPerImage: description.vision.tokensPerImage,
      conversation: description.conversation,
      card: model.card,
    };
  }

  /**
   * Loads a model folder (config.json, *.safetensors, tokenizer.json, preprocessor_config.json). Errors are LlavaErrors
   * `invalid_checkpoint`, `unsupported_model`, `not_found`, `runtime_failure`.
   */
  static async load(folder: string, options: EngineOptions = {}): Promise<Engine> {
    const report = (phase: string, done: number): void => options.onProgress?.({ phase, done, total: 4 });
    report("configuration", 0);
    const model = await openModelFolder(folder, options.conversation === undefined ? {} : { conversation: options.conversation });
    report("weights", 1);
    const weights = await Checkpoint.open(folder);
    try {
      const session = sessionOptions(folder, options);
      report("vision encoder", 2);
      const encoder = await Encoder.load(model.description, weights, session);
      report("language model", 3);
      const decoder = await Decoder.load(model.description, weights, SLOTS, session);
      report("ready", 4);
      return new Engine(model, new Runner(encoder, decoder), options);
    } catch (error) {
      throw loadFailure(error, folder);
    }
  }

  get occupancy(): Occupancy {
    return { running: this.#running.length, waiting: this.#waiting.length + this.#preparing, slots: SLOTS };
  }

  /**
   * Answers a request as events; the last one says how it ended, and nothing is thrown. When the signal aborts or the
   * reader stops, the engine stops before its next step and the slot is free.
   */
  async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncGenerator<EngineEvent, void, void> {
    const reader = new AbortController();
    const whole = signal ? AbortSignal.any([signal, reader.signal]) : reader.signal;
    try {
      const sequence = await this.#admit(request, whole);
      yield* sequence.events;
    } catch (error) {
      yield { type: "error", error: asError(error, whole) };
    } finally {
      reader.abort();
    }
  }

  /** Fails what is running and waiting, then frees the model. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    const error = new LlavaError("shutting_down", "The engine is shutting down; ask again in a moment.");
    for (const sequence of [...this.#running, ...this.#waiting]) sequence.fail(error);
    await this.#loop;
    this.#runner[Symbol.dispose]();
  }

  async #admit(request: GenerateRequest, signal: AbortSignal): Promise<Sequence> {
    const arrivedAt = performance.now();
    if (this.#isDisposed) throw new LlavaError("shutting_down", "The engine is shutting down; ask again in a moment.");
    if (this.occupancy.waiting >= this.#maxWaiting) {
      throw new LlavaError("overloaded", `${this.#maxWaiting} requests are waiting already; try again in a moment.`);
    }
    this.#preparing += 1;
    let sequence: Sequence;
    try {
      sequence = await prepare(this.#model, request, arrivedAt, signal);
    } finally {
      this.#preparing -= 1;
    }
    signal.throwIfAborted();
    const cancel = (): void => sequence.fail(new LlavaError("cancelled", "The request was cancelled."));
    signal.addEventListener("abort", cancel, { once: true });
    this.#waiting.push(sequence);
    if (!this.#isLooping) this.#loop = this.#run();
    return sequence;
  }

  async #run(): Promise<void> {
    this.#isLooping = true;
    try {
      for (let plan = this.#plan(); plan; plan = this.#plan()) await this.#step(plan);
    } finally {
      this.#isLooping = false;
    }
  }

  #plan(): Plan | undefined {
    this.#retire();
    this.#fill();
    return schedule(this.#running, { chunkTokens: CHUNK_TOKENS });
  }

  /** A failed run ends the sequences of its plan and no others. */
  async #step(plan: Plan): Promise<void> {
    try {
      commit(plan, sample(await this.#runner.run(plan)));
    } catch (error) {
      for (const sequence of sequencesOf(plan)) sequence.fail(asError(error, sequence.signal));
    }
  }

  /** Sequences that ended give back their slots. */
  #retire(): void {
    for (const queue of [this.#running, this.#waiting]) {
      for (const sequence of queue.filter(({ isDone }) => isDone)) {
        queue.splice(queue.indexOf(sequence), 1);
        this.#runner.release(sequence);
      }
    }
  }

  /** First come, first served, as long as there are slots. */
  #fill(): void {
    while (this.#runner.freeSlots > 0) {
      const sequence = this.#waiting.shift();
      if (!sequence) return;
      try {
        this.#runner.admit(sequence);
        sequence.start(performance.now());
        this.#running.push(sequence);
      } catch (error) {
        this.#runner.release(sequence);
        sequence.fail(asError(error, sequence.signal));
      }
    }
  }
}

function sessionOptions(folder: string, { device = "cpu", threads }: EngineOptions): SessionOptions {
  return { device: parseDevice(device), externalDataFolder: folder, ...(threads === undefined ? {} : { threads }) };
}

type Tokens = ReadonlyMap<Sequence, number>;

function sample(results: Results): Tokens {
  return new Map([...results].map(([sequence, logits]) => [sequence, sampleToken(logits, sequence.sampling, sequence.generatedTokens)]));
}

/** Writes what a run did into its sequences; those that were cancelled meanwhile take nothing. */
function commit(plan: Plan, tokens: Tokens): void {
  const now = performance.now();
  for (const sequence of sequencesOf(plan)) {
    if (sequence.isDone) continue;
    if (plan.kind === "encode") sequence.commitPicture(now);
    else sequence.commitCached(plan.kind === "prefill" ? plan.to - plan.from : 1);
    const token = tokens.get(sequence);
    if (token !== undefined) sequence.commitToken(token, now);
  }
}

function sequencesOf(plan: Plan): readonly Sequence[] {
  return plan.kind === "decode" ? plan.sequences : [plan.sequence];
}

function asError(error: unknown, signal: AbortSignal): LlavaError {
  if (error instanceof LlavaError) return error;
  if (signal.aborted) return new LlavaError("cancelled", "The request was cancelled.", { cause: error });
  if (error instanceof RuntimeError) {
    const code = error.code === "out_of_memory" ? "out_of_memory" : "runtime_failure";
    return new LlavaError(code, `ONNX Runtime failed on this request: ${error.message}`, { cause: error });
  }
  return toLlavaError(error);
}

function loadFailure(error: unknown, folder: string): LlavaError {
  if (error instanceof LlavaError) return error;
  if (error instanceof RuntimeError) return new LlavaError("runtime_failure", error.message, { cause: error });
  const reason = error instanceof Error ? error.message : String(error);
  return new LlavaError("invalid_checkpoint", `The model in ${folder} cannot be served: ${reason}`, { cause: error });
}
