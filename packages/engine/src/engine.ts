/** Answers many requests on one model: loads it, admits requests to the loop that computes them, and reports its state. */
import {
  conversationNames,
  DecodePool,
  findConversation,
  mostTokens,
  type SquareShape,
} from "@llava/processing";
import { type ComputeType, type ModelFolder, openModelFolder } from "@llava/models";
import { LlavaError } from "@llava/protocol";
import { Decoder } from "./runner/decoder.ts";
import { VisionEncoder } from "./runner/vision-encoder.ts";
import { VisionQueue } from "./runner/vision-queue.ts";
import {
  cacheLimits,
  computeTypeOf,
  type EngineOptions,
  inFolderOf,
  sessionOptions,
  weightOptions,
} from "./api/engine-options.ts";
import { cancelled, loadError, requestError, shuttingDown } from "./api/engine-error.ts";
import { Grammars } from "./grammar/grammar.ts";
import { FeatureCache } from "./runner/feature-cache.ts";
import { EngineLoop } from "./engine-loop.ts";
import { WeightFilesWatch } from "./weights/weight-files-watch.ts";
import {
  computeMap,
  type OcclusionEvent,
  type OcclusionRequest,
  requireMappable,
  requireRoom,
} from "./occlusion/occlusion-map.ts";
import { wordTokens } from "./occlusion/occlusion-prompt.ts";
import { prepare } from "./prepare/prepare.ts";
import { decodeImages, planImages } from "./prepare/prompt-images.ts";
import { longestPrompt } from "./prepare/token-limits.ts";
import type { EngineEvent, GenerateRequest } from "./api/request.ts";
import { scoreSequence } from "./occlusion/scoring.ts";
import { type Holdings, ModelRunner } from "./runner/model-runner.ts";
import type { Prompt, Sequence } from "./scheduler/sequence.ts";
import { loadWeights } from "./weights/weights.ts";

export interface EngineInfo {
  readonly name: string;
  readonly contextLength: number;
  /** Most positions of the context that one image takes. */
  readonly tokensPerImage: number;
  /** Edge of the square that the vision tower sees, pixels. */
  readonly imageSize: number;
  /** How an image becomes tiles of that size, where a request does not say it. */
  readonly imageShape: SquareShape;
  /** Name of the model's conversation template. */
  readonly conversation: string;
  /** Names of all templates that a request may choose. */
  readonly conversations: readonly string[];
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

/** Progress of one running request, in tokens. */
export interface Progress {
  readonly promptTokens: number;
  /** Positions of the cache that the request fills. */
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  readonly maxTokens: number;
}

const DEFAULT_MAX_WAITING = 64;
/** Runs of an occlusion map at once: few, so that requests find slots between them. */
const MAP_RUNS_AT_ONCE = 4;
/** The graph holds a row of the rotary tables for each position; a longer context is served this far. */
const MAX_CONTEXT_LENGTH = 131_072;

interface EngineParts {
  readonly model: ModelFolder;
  readonly files: WeightFilesWatch;
  readonly runner: ModelRunner;
  readonly encoding: VisionQueue;
  readonly maxRunning: number;
  readonly computeType: ComputeType;
}

export class Engine implements AsyncDisposable {
  readonly info: EngineInfo;
  readonly #model: ModelFolder;
  readonly #files: WeightFilesWatch;
  readonly #runner: ModelRunner;
  readonly #encoding: VisionQueue;
  readonly #loop: EngineLoop;
  readonly #maxRunning: number;
  readonly #maxWaiting: number;
  readonly #maxCharacters: number;
  readonly #images: DecodePool;
  readonly #grammars: Grammars;
  /** One controller for each request under way: aborting it ends the request. */
  readonly #requests = new Set<AbortController>();
  /** Requests that are tokenized and whose images are decoded. */
  #preparing = 0;
  #disposal: Promise<void> | undefined;

  private constructor(parts: EngineParts, options: EngineOptions) {
    const { model, files, runner, encoding, maxRunning } = parts;
    const { description } = model;
    this.#model = model;
    this.#files = files;
    this.#runner = runner;
    this.#encoding = encoding;
    // In half precision a step with a draft rounds otherwise than steps of one token: logits differ by up to 0.005
    // (measured on the demo), so that whether tokens were guessed, which depends on time, could change an answer.
    this.#loop = new EngineLoop(runner, encoding, { maxRunning, drafts: parts.computeType === "float32" });
    this.#maxRunning = maxRunning;
    this.#maxWaiting = options.maxWaiting ?? DEFAULT_MAX_WAITING;
    this.#images = new DecodePool(options.images);
    this.#grammars = new Grammars({ ...model.tokenizer, ...description.text });
    this.#maxCharacters = longestPrompt(model);
    this.info = {
      name: description.name,
      contextLength: description.text.contextLength,
      tokensPerImage: mostTokens(description.pixels, description.vision.tokensPerImage),
      imageSize: description.pixels.size,
      imageShape: description.pixels.shape,
      conversation: description.conversation,
      conversations: conversationNames(),
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
    const computeType = computeTypeOf(session, options);
    try {
      report("configuration", 0);
      const { conversation } = options;
      const model = within(await openModelFolder(folder, conversation === undefined ? {} : { conversation }));
      report("weights", 1);
      const weights = await loadWeights(model.weights, model.description, weightOptions(session, options));
      const files = await WeightFilesWatch.of([...weights.encoder.files, ...weights.decoder.files]);
      using loaded = new DisposableStack();
      report("vision encoder", 2);
      const encoder = loaded.use(
        await VisionEncoder.load(
          model.description,
          weights.encoder.source,
          inFolderOf(weights.encoder, session),
          computeType,
        ),
      );
      report("language model", 3);
      const limits = await cacheLimits(options);
      const decoder = loaded.use(
        await Decoder.load(
          model.description,
          weights.decoder.source,
          limits.keyValueBytes,
          inFolderOf(weights.decoder, session),
          computeType,
        ),
      );
      if (!(await weights.isWhole)) return await Engine.load(folder, options);
      report("ready", 4);
      const features = new FeatureCache(limits.featureBytes);
      const runner = new ModelRunner(decoder, features, limits.slots, options.prefixCache ?? true);
      const encoding = new VisionQueue(encoder, features);
      const parts = { model, files, runner, encoding, maxRunning: limits.running, computeType };
      const engine = new Engine(parts, options);
      loaded.move();
      return engine;
    } catch (error) {
      throw loadError(error, folder);
    }
  }

  get occupancy(): Occupancy {
    const waiting = this.#loop.waiting.length + this.#preparing;
    return { running: this.#loop.running.length, waiting, slots: this.#maxRunning };
  }

  get holdings(): Holdings {
    return this.#runner.holdings;
  }

  /** Progress of the running requests; slots of `occupancy.slots` beyond these are free. */
  get progress(): readonly Progress[] {
    return this.#loop.running.map(({ prompt, cachedTokens, generatedTokens, maxTokens }) => ({
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
   * reader stops, the engine stops before its next step and the slot is free. A reader that is slower than the model does
   * not slow the engine: its events wait, at most one for each token of the answer.
   */
  generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterableIterator<EngineEvent, void, void> {
    const stop = new AbortController();
    const events = this.#answer(request, stop, signal);
    return {
      next: async () => await events.next(),
      // A generator alone returns only after the event that its reader waits for; the engine must stop now.
      return: async () => {
        stop.abort(cancelled());
        return await events.return();
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /**
   * How much a word of an answer owes to each part of an image (occlusion-map.ts), as progress and then the map. Throws
   * LlavaErrors. Its runs come after all requests that wait, a few at a time.
   * @param turn permission to do the next few runs, for as long as it is held
   */
  async *occlusionMap(
    request: OcclusionRequest,
    turn: (signal: AbortSignal) => Promise<Disposable>,
    signal?: AbortSignal,
  ): AsyncGenerator<OcclusionEvent, void, void> {
    if (this.#disposal) throw shuttingDown();
    const stop = new AbortController();
    const abort = (): void => stop.abort(cancelled());
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
    this.#requests.add(stop);
    try {
      await this.#files.requireUnchanged();
      const word = wordTokens(this.#model, request, this.#maxCharacters);
      requireMappable(this.#model, request, word);
      const { description } = this.#model;
      const plans = await planImages(description, request, this.#images, stop.signal);
      requireRoom(this.#model, word, plans);
      const images = await decodeImages(description, request, plans, this.#images, stop.signal);
      yield* computeMap(this.#model, request, word, images, {
        score: async (prompt, tokens) => await this.#score(prompt, tokens, stop.signal),
        turn: async () => await turn(stop.signal),
        runsAtOnce: Math.max(1, Math.min(MAP_RUNS_AT_ONCE, Math.floor(this.#maxRunning / 2))),
      });
    } catch (error) {
      throw requestError(error, stop.signal);
    } finally {
      abort();
      signal?.removeEventListener("abort", abort);
      this.#requests.delete(stop);
    }
  }

  /** Logarithm of the probability of `tokens` after the prompt. */
  async #score(prompt: Prompt, tokens: readonly number[], signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const sequence = scoreSequence(this.#model, prompt, tokens, signal);
    const cancel = (): void => this.#loop.cancel(sequence);
    signal.addEventListener("abort", cancel, { once: true });
    this.#loop.add(sequence);
    try {
      for await (const event of sequence.events) if (event.type === "error") throw event.error;
      return sequence.logprob;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  /** Fails what is running and waiting, then frees the model. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose();
    await this.#disposal;
  }

  async #dispose(): Promise<void> {
    for (const request of this.#requests) request.abort(shuttingDown());
    await this.#loop.end();
    this.#runner[Symbol.dispose]();
    this.#encoding[Symbol.dispose]();
    this.#images[Symbol.dispose]();
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
      decodePool: this.#images,
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
    signal.addEventListener("abort", () => this.#loop.cancel(sequence), { once: true });
    this.#loop.add(sequence);
    return sequence;
  }
}

function overloaded(waiting: number): LlavaError {
  return new LlavaError("overloaded", `${waiting} requests are waiting already; try again in a moment.`);
}

/** Limits the context length: a made-up one in config.json must not decide what is allocated. */
function within(model: ModelFolder): ModelFolder {
  const { description } = model;
  const contextLength = Math.min(description.text.contextLength, MAX_CONTEXT_LENGTH);
  return { ...model, description: { ...description, text: { ...description.text, contextLength } } };
}
