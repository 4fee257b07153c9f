/** Many requests on one model. The loop is schedule → run → sample → commit; only `run` is awaited. */
import { findConversation, type ModelFolder, openModelFolder, PicturePool } from "@llava/model";
import { LlavaError, toLlavaError } from "@llava/protocol";
import { Decoder } from "./decoder.ts";
import { Encoder } from "./encoder.ts";
import { Encoding } from "./encoding.ts";
import {
  cacheLimits,
  type EngineOptions,
  inFolderOf,
  sessionOptions,
  weightOptions,
} from "./engine-options.ts";
import { cancelled, loadError, requestError, shuttingDown } from "./engine-error.ts";
import { Grammars } from "./grammar.ts";
import { FeatureCache } from "./feature-cache.ts";
import { Pace } from "./pace.ts";
import { LoadedFiles } from "./loaded-files.ts";
import { longestPrompt, prepare } from "./prepare.ts";
import type { EngineEvent, GenerateRequest } from "./request.ts";
import { CacheLost, type Holdings, type Results, Runner } from "./runner.ts";
import { type Plan, schedule, sequencesOf } from "./scheduler.ts";
import type { PromptPicture, Sequence } from "./sequence.ts";
import { loadWeights } from "./weights.ts";

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

const DEFAULT_MAX_WAITING = 64;
/** Pictures of this many waiting requests are encoded ahead; their features are in memory until it is their turn. */
const MOST_AHEAD = 4;
/** The graph holds a row of the rotary tables for each position; a longer context is served this far. */
const MAX_CONTEXT_LENGTH = 131_072;

export class Engine implements AsyncDisposable {
  readonly info: EngineInfo;
  readonly #model: ModelFolder;
  readonly #files: LoadedFiles;
  readonly #runner: Runner;
  readonly #encoding: Encoding;
  readonly #pace = new Pace();
  readonly #maxRunning: number;
  readonly #maxWaiting: number;
  readonly #maxCharacters: number;
  readonly #pictures: PicturePool;
  readonly #grammars: Grammars;
  /** One for each generate() under way: aborting it ends the request, whoever wants that and why. */
  readonly #requests = new Set<AbortController>();
  /** Requests that are tokenized and whose pictures are decoded. */
  #preparing = 0;
  /** By arrival. */
  readonly #waiting: Sequence[] = [];
  /** By admission. */
  readonly #running: Sequence[] = [];
  /** The step before gave tokens: the next may be a prompt's. */
  #isPromptsTurn = true;
  #loop: Promise<void> | undefined;
  #isLooping = false;
  /** Something came that the loop may not have seen. */
  #isWoken = false;
  #disposal: Promise<void> | undefined;

  private constructor(
    model: ModelFolder,
    files: LoadedFiles,
    runner: Runner,
    encoding: Encoding,
    options: EngineOptions,
  ) {
    const { description } = model;
    this.#model = model;
    this.#files = files;
    this.#runner = runner;
    this.#encoding = encoding;
    this.#maxRunning = cacheLimits(options).running;
    this.#maxWaiting = options.maxWaiting ?? DEFAULT_MAX_WAITING;
    this.#pictures = new PicturePool(options.pictures);
    this.#grammars = new Grammars({ ...model.tokenizer, ...description.text });
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
      const weights = await loadWeights(folder, model.description, weightOptions(session, options));
      const files = await LoadedFiles.in([weights.encoder.folder, weights.decoder.folder]);
      using loaded = new DisposableStack();
      report("vision encoder", 2);
      const encoder = loaded.use(
        await Encoder.load(model.description, weights.encoder.source, inFolderOf(weights.encoder, session)),
      );
      report("language model", 3);
      const limits = cacheLimits(options);
      const decoder = loaded.use(
        await Decoder.load(
          model.description,
          weights.decoder.source,
          limits.keyValueBytes,
          inFolderOf(weights.decoder, session),
        ),
      );
      if (!(await weights.isWhole)) return await Engine.load(folder, options);
      report("ready", 4);
      const features = new FeatureCache(limits.featureBytes);
      const runner = new Runner(decoder, features, limits.rows, options.prefixCache ?? true);
      const engine = new Engine(model, files, runner, new Encoding(encoder, features), options);
      loaded.move();
      return engine;
    } catch (error) {
      throw loadError(error, folder);
    }
  }

  get occupancy(): Occupancy {
    const waiting = this.#waiting.length + this.#preparing;
    return { running: this.#running.length, waiting, slots: this.#maxRunning };
  }

  get holdings(): Holdings {
    return this.#runner.holdings;
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

  /** The UTF-8 bytes of a token; it may be half a character. */
  tokenBytes(id: number): Uint8Array {
    return this.#model.tokenizer.tokenBytes(id);
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
    await this.#encoding.run;
    await this.#loop;
    this.#runner[Symbol.dispose]();
    this.#encoding[Symbol.dispose]();
    this.#pictures[Symbol.dispose]();
    this.#grammars[Symbol.dispose]();
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
    if (running + waiting >= this.#maxRunning + this.#maxWaiting) throw overloaded(waiting);
    const admission = {
      arrivedAt,
      signal,
      pictures: this.#pictures,
      maxCharacters: this.#maxCharacters,
      grammars: this.#grammars,
    };
    let sequence: Sequence;
    this.#preparing += 1;
    try {
      await this.#files.requireUnchanged();
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
    this.#wake();
    return sequence;
  }

  #wake(): void {
    this.#isWoken = true;
    if (!this.#isLooping) this.#loop = this.#run();
  }

  /** A sequence that runs gives its slot back when its step ends, which its signal hastens. */
  #cancel(sequence: Sequence): void {
    sequence.fail(requestError(undefined, sequence.signal));
    remove(this.#waiting, sequence);
  }

  /** Ends when there is nothing to compute, even if the encoder still runs: it wakes the loop again. */
  async #run(): Promise<void> {
    this.#isLooping = true;
    try {
      while (this.#isWoken) {
        this.#isWoken = false;
        for (let plan = await this.#plan(); plan; plan = await this.#plan()) await this.#step(plan);
      }
    } catch (error) {
      for (const sequence of this.#waiting.splice(0)) sequence.fail(toLlavaError(error));
      for (const sequence of this.#running) sequence.fail(toLlavaError(error));
      this.#retire();
    } finally {
      this.#isLooping = false;
    }
  }

  async #plan(): Promise<Plan | undefined> {
    this.#retire();
    this.#encodeAhead();
    await this.#admitWaiting();
    const isSomebodyDecoding = this.#running.some(({ isDecoding }) => isDecoding);
    return schedule(this.#running, {
      chunkTokens: this.#pace.chunkTokens(isSomebodyDecoding),
      draftTokens: this.#pace.draftTokens(),
      isPromptsTurn: this.#isPromptsTurn,
    });
  }

  #encodeAhead(): void {
    if (this.#encoding.run) return;
    const wanted: [Sequence, readonly PromptPicture[]][] = [];
    for (const sequence of this.#waiting) {
      const pictures = this.#runner.missingPictures(sequence);
      if (pictures.length > 0) wanted.push([sequence, pictures]);
      if (wanted.length === MOST_AHEAD) break;
    }
    this.#encoding.begin(wanted, () => this.#wake());
  }

  /**
   * First come, first served among those whose pictures have been read. One prompt is computed at a time, so that the
   * next one finds in the cache what both have in common.
   */
  async #admitWaiting(): Promise<void> {
    while (this.#running.length < this.#maxRunning && this.#running.every(({ isDecoding }) => isDecoding)) {
      const sequence = this.#waiting.find((each) => this.#runner.missingPictures(each).length === 0);
      if (!sequence || !(await this.#seat(sequence))) return;
    }
  }

  /** False when it has to wait. One that can never run is failed, and the next may have its turn. */
  async #seat(sequence: Sequence): Promise<boolean> {
    try {
      if (!(await this.#runner.admit(sequence))) return false;
      remove(this.#waiting, sequence);
      this.#running.push(sequence);
    } catch (error) {
      if (error instanceof CacheLost && this.#running.length > 0) this.#requeueAll();
      else this.#drop(sequence, error);
    }
    return true;
  }

  /** A failed run ends the sequences of its plan and no others. */
  async #step(plan: Plan): Promise<void> {
    const startedAt = performance.now();
    try {
      if (!(await this.#runner.reserve(plan))) return this.#makeWay();
      const tokens = commit(plan, await this.#runner.run(plan));
      this.#pace.record(plan, performance.now() - startedAt, tokens);
    } catch (error) {
      if (error instanceof CacheLost && this.#running.length > 1) return this.#requeueAll();
      for (const sequence of sequencesOf(plan)) this.#drop(sequence, error);
    }
    this.#isPromptsTurn = plan.kind !== "prefill";
  }

  /** Memory does not hold all that run: the last one gives up its row and waits for its turn. */
  #makeWay(): void {
    const last = this.#running.at(-1);
    if (last && this.#running.length > 1) return this.#requeue(last);
    if (last) this.#drop(last, outOfCache());
  }

  /** What it has said stays said; what is known of it is computed again. */
  #requeue(sequence: Sequence): void {
    remove(this.#running, sequence);
    this.#runner.release(sequence, true);
    sequence.evict();
    this.#waiting.unshift(sequence);
  }

  #requeueAll(): void {
    for (const sequence of this.#running.toReversed()) this.#requeue(sequence);
  }

  #drop(sequence: Sequence, error: unknown): void {
    const reason = error instanceof CacheLost ? error.cause : error;
    sequence.fail(requestError(reason, sequence.signal));
    remove(this.#waiting, sequence);
    remove(this.#running, sequence);
    this.#runner.release(sequence, sequence.signal.aborted);
  }

  /** Sequences that ended give back their rows, or their place in the queue. */
  #retire(): void {
    for (const sequence of this.#waiting.filter(({ isDone }) => isDone)) remove(this.#waiting, sequence);
    for (const sequence of this.#running.filter(({ isDone }) => isDone)) {
      remove(this.#running, sequence);
      this.#runner.release(sequence, true);
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

function outOfCache(): LlavaError {
  return new LlavaError(
    "out_of_memory",
    "There is not enough memory for keys and values to continue this answer. Ask for a shorter one (max_tokens) or start a new conversation.",
  );
}

/** Writes what a run did into its sequences and returns how many tokens came; those that were cancelled take nothing. */
function commit(plan: Plan, results: Results): number {
  const now = performance.now();
  const { length } = sequencesOf(plan);
  if (plan.kind === "prefill" && !plan.sequence.isDone) plan.sequence.commitCached(plan.to - plan.from);
  let count = 0;
  for (const [sequence, positions] of results) {
    const draft = plan.kind === "verify" ? plan.draft : [];
    for (const [i, logits] of positions.entries()) {
      if (sequence.isDone) break;
      if (plan.kind !== "prefill") sequence.commitCached(1);
      const token = sequence.sample(logits);
      sequence.commitToken(token, now);
      count += 1;
      // What was computed after a wrong guess is about another text.
      if (token.id !== draft[i]) break;
    }
  }
  return count / length;
}
