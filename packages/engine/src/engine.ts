/** Many requests on one model. The loop is schedule → run → sample → commit; only `run` is awaited. */
import { Checkpoint } from "@llava/checkpoint";
import { findConversation, type ModelFolder, openModelFolder, PicturePool } from "@llava/model";
import { LlavaError, toLlavaError } from "@llava/protocol";
import { Decoder } from "./decoder.ts";
import { Encoder } from "./encoder.ts";
import { type EngineOptions, sessionOptions } from "./engine-options.ts";
import { cancelled, loadError, requestError, shuttingDown } from "./engine-error.ts";
import { longestPrompt, prepare } from "./prepare.ts";
import type { EngineEvent, GenerateRequest } from "./request.ts";
import { type Results, Runner } from "./runner.ts";
import { sampleToken } from "./sampler.ts";
import { type Plan, schedule } from "./scheduler.ts";
import type { Sequence } from "./sequence.ts";

export interface EngineInfo {
  readonly name: string;
  readonly contextLength: number;
  readonly tokensPerImage: number;
  readonly conversation: string;
  /** False: the model was never shown a system message, and one is refused. */
  readonly takesSystem: boolean;
  /** The model card (README.md of the model's folder). */
  readonly card: string | null;
}

export interface Occupancy {
  readonly running: number;
  readonly waiting: number;
  readonly slots: number;
}

/** How far one running request is. Counts are of tokens. */
export interface Progress {
  readonly promptTokens: number;
  /** Positions of the cache that it fills. */
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  readonly maxTokens: number;
}

/** Sequences that are computed at once. */
const SLOTS = 1;
/** Positions of one prompt chunk: long enough for the matrix kernels, short enough to stop soon. */
const CHUNK_TOKENS = 256;
const DEFAULT_MAX_WAITING = 64;
/** The graph holds a row of the rotary tables for each position; a longer context is served this far. */
const MAX_CONTEXT_LENGTH = 131_072;

export class Engine implements AsyncDisposable {
  readonly info: EngineInfo;
  readonly #model: ModelFolder;
  readonly #runner: Runner;
  readonly #maxWaiting: number;
  readonly #maxCharacters: number;
  readonly #pictures: PicturePool;
  /** One for each generate() under way: aborting it ends the request, whoever wants that and why. */
  readonly #requests = new Set<AbortController>();
  /** Requests that are tokenized and whose pictures are decoded. */
  #preparing = 0;
  /** By arrival. */
  readonly #waiting: Sequence[] = [];
  readonly #running: Sequence[] = [];
  #loop: Promise<void> | undefined;
  #isLooping = false;
  #disposal: Promise<void> | undefined;

  private constructor(model: ModelFolder, runner: Runner, options: EngineOptions) {
    const { description } = model;
    this.#model = model;
    this.#runner = runner;
    this.#maxWaiting = options.maxWaiting ?? DEFAULT_MAX_WAITING;
    this.#pictures = new PicturePool(options.pictures);
    this.#maxCharacters = longestPrompt(model);
    this.info = {
      name: description.name,
      contextLength: description.text.contextLength,
      tokensPerImage: description.vision.tokensPerImage,
      conversation: description.conversation,
      takesSystem: findConversation(description.conversation).takesSystem,
      card: model.card,
    };
  }

  /**
   * Loads a model folder (config.json, *.safetensors, tokenizer.json, preprocessor_config.json). Throws LlavaErrors:
   * `invalid_request` for an option, `model_not_found`, `invalid_checkpoint`, `unsupported_model`, `out_of_memory`,
   * `runtime_failure` (also for a device that cannot be had: the sentence says how to get it).
   */
  static async load(folder: string, options: EngineOptions = {}): Promise<Engine> {
    const report = (phase: string, done: number): void => options.onProgress?.({ phase, done, total: 4 });
    const session = sessionOptions(folder, options);
    try {
      report("configuration", 0);
      const { conversation } = options;
      const model = within(await openModelFolder(folder, conversation === undefined ? {} : { conversation }));
      report("weights", 1);
      const weights = await Checkpoint.open(folder);
      using loaded = new DisposableStack();
      report("vision encoder", 2);
      const encoder = loaded.use(await Encoder.load(model.description, weights, session));
      report("language model", 3);
      const decoder = loaded.use(await Decoder.load(model.description, weights, SLOTS, session));
      report("ready", 4);
      const engine = new Engine(model, new Runner(encoder, decoder), options);
      loaded.move();
      return engine;
    } catch (error) {
      throw loadError(error, folder);
    }
  }

  get occupancy(): Occupancy {
    return { running: this.#running.length, waiting: this.#waiting.length + this.#preparing, slots: SLOTS };
  }

  /** What runs now; places of `occupancy.slots` beyond these are free. */
  get progress(): readonly Progress[] {
    return this.#running.map(({ prompt, cachedTokens, generatedTokens, maxTokens }) => ({
      promptTokens: prompt.ids.length,
      cachedTokens,
      generatedTokens,
      maxTokens,
    }));
  }

  /**
   * Answers a request as events; the last one says how it ended, and nothing is thrown. When the signal aborts or the
   * reader stops, the engine stops before its next step and the slot is free. A reader that is slower than the model
   * holds up nobody: its events wait, at most one for each token of the answer.
   */
  generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterableIterator<EngineEvent, void, void> {
    const stop = new AbortController();
    const events = this.#answer(request, stop, signal);
    return {
      next: async () => await events.next(),
      // By itself a generator returns only after the event that its reader waits for; the engine shall stop now.
      return: async () => {
        stop.abort(cancelled());
        return await events.return();
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** Fails what is running and waiting, then frees the model. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose();
    await this.#disposal;
  }

  async #dispose(): Promise<void> {
    for (const request of this.#requests) request.abort(shuttingDown());
    await this.#loop;
    this.#runner[Symbol.dispose]();
    this.#pictures[Symbol.dispose]();
  }

  async *#answer(
    request: GenerateRequest,
    stop: AbortController,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<EngineEvent, void, void> {
    const abort = (): void => stop.abort(cancelled());
    if (signal?.aborted) abort();
    // Not AbortSignal.any: the caller's signal may live as long as the process, and this listener must not.
    signal?.addEventListener("abort", abort, { once: true });
    this.#requests.add(stop);
    try {
      const sequence = await this.#admit(request, stop.signal);
      yield* sequence.events;
    } catch (error) {
      yield { type: "error", error: requestError(error, stop.signal) };
    } finally {
      abort();
      signal?.removeEventListener("abort", abort);
      this.#requests.delete(stop);
    }
  }

  async #admit(request: GenerateRequest, signal: AbortSignal): Promise<Sequence> {
    const arrivedAt = performance.now();
    signal.throwIfAborted();
    if (this.#disposal) throw shuttingDown();
    const { running, waiting } = this.occupancy;
    if (running + waiting >= SLOTS + this.#maxWaiting) throw overloaded(waiting);
    const admission = { arrivedAt, signal, pictures: this.#pictures, maxCharacters: this.#maxCharacters };
    let sequence: Sequence;
    this.#preparing += 1;
    try {
      sequence = await prepare(this.#model, request, admission);
    } finally {
      this.#preparing -= 1;
    }
    signal.throwIfAborted();
    // A continued answer may have been whole already.
    if (sequence.isDone) return sequence;
    signal.addEventListener("abort", () => this.#cancel(sequence), { once: true });
    this.#waiting.push(sequence);
    // One with pictures may be ready after a later one without.
    this.#waiting.sort((a, b) => a.arrivedAt - b.arrivedAt);
    if (!this.#isLooping) this.#loop = this.#run();
    return sequence;
  }

  /** A sequence that runs gives its slot back when its step ends, which its signal hastens. */
  #cancel(sequence: Sequence): void {
    sequence.fail(requestError(undefined, sequence.signal));
    remove(this.#waiting, sequence);
  }

  /** Between the last plan and the end of the loop nothing is awaited: no request can arrive there unseen. */
  async #run(): Promise<void> {
    this.#isLooping = true;
    try {
      for (let plan = this.#plan(); plan; plan = this.#plan()) await this.#step(plan);
    } catch (error) {
      for (const sequence of [...this.#running, ...this.#waiting.splice(0)])
        sequence.fail(toLlavaError(error));
    } finally {
      this.#isLooping = false;
    }
  }

  #plan(): Plan | undefined {
    this.#fill();
    return schedule(this.#running, { chunkTokens: CHUNK_TOKENS });
  }

  /** A failed run ends the sequences of its plan and no others. */
  async #step(plan: Plan): Promise<void> {
    try {
      commit(plan, sample(await this.#runner.run(plan)));
    } catch (error) {
      for (const sequence of sequencesOf(plan)) sequence.fail(requestError(error, sequence.signal));
    }
    this.#retire();
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
        sequence.fail(requestError(error, sequence.signal));
      }
    }
  }

  /** Sequences that ended give back their slots. */
  #retire(): void {
    for (const sequence of this.#running.filter(({ isDone }) => isDone)) {
      remove(this.#running, sequence);
      this.#runner.release(sequence);
    }
  }
}

function remove(queue: Sequence[], sequence: Sequence): void {
  const index = queue.indexOf(sequence);
  if (index !== -1) queue.splice(index, 1);
}

function overloaded(waiting: number): LlavaError {
  return new LlavaError("overloaded", `${waiting} requests are waiting already; try again in a moment.`);
}

/** A made-up context length in config.json must not make us allocate. */
function within(model: ModelFolder): ModelFolder {
  const { description } = model;
  const contextLength = Math.min(description.text.contextLength, MAX_CONTEXT_LENGTH);
  return { ...model, description: { ...description, text: { ...description.text, contextLength } } };
}

type Tokens = ReadonlyMap<Sequence, number>;

function sample(results: Results): Tokens {
  return new Map(
    [...results].map(([sequence, logits]) => [
      sequence,
      sampleToken(logits, sequence.sampling, sequence.generatedTokens),
    ]),
  );
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
