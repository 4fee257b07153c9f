/** Engine answers many requests on one model: it admits and prepares them, and a loop computes them. */
import {
  AdmissionQueue,
  type BackendCard,
  type ChoiceEvent,
  type OcclusionEvent,
  type OcclusionRequest,
  type SequenceProgress,
} from "@llava/backend";
import { conversationNames, DecodePool, findConversation, mostTokens } from "@llava/processing";
import { type ComputeType, type ModelFolder, openModelFolder } from "@llava/models";
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
import { answerChoices, type Choices, choicesOf, singleChoice, stoppable } from "./api/answer-choices.ts";
import { computeMap, requireMappable, requireRoom } from "./occlusion/occlusion-map.ts";
import { wordTokens } from "./occlusion/occlusion-prompt.ts";
import { prepare } from "./prepare/prepare.ts";
import { decodeImages, planImages } from "./prepare/prompt-images.ts";
import { longestPrompt } from "./prepare/token-limits.ts";
import type { EngineEvent, GenerateRequest } from "./api/request.ts";
import { AFTER_REQUESTS, scoreSequence } from "./occlusion/scoring.ts";
import { type Holdings, ModelRunner } from "./runner/model-runner.ts";
import type { Prompt, Sequence } from "./scheduler/sequence.ts";
import { loadWeights } from "./weights/weights.ts";

export interface EngineInfo extends Required<BackendCard> {
  /** False: the model was never shown a system message, and one is refused. */
  readonly takesSystem: boolean;
}

export interface Occupancy {
  /** Sequences that own a slot. */
  readonly running: number;
  /** Requests that wait to be admitted, are prepared or wait for a slot. */
  readonly waiting: number;
  /** Most sequences that are computed at once. */
  readonly slots: number;
}

const DEFAULT_MAX_WAITING = 64;
/** Few enough that requests find slots between a map's runs. */
const MAP_RUNS_AT_ONCE = 4;
/** The graph holds a row of the rotary tables for each position; a longer context is served this far. */
const MAX_CONTEXT_LENGTH = 131_072;

interface EngineParts {
  readonly model: ModelFolder;
  readonly files: WeightFilesWatch;
  readonly runner: ModelRunner;
  readonly visionQueue: VisionQueue;
  readonly maxRunning: number;
  readonly computeType: ComputeType;
}

export class Engine implements AsyncDisposable {
  readonly info: EngineInfo;
  /** The one queue in which requests wait: ordered by priority, then by arrival. */
  readonly queue: AdmissionQueue;
  readonly #model: ModelFolder;
  readonly #files: WeightFilesWatch;
  readonly #runner: ModelRunner;
  readonly #visionQueue: VisionQueue;
  readonly #loop: EngineLoop;
  readonly #maxRunning: number;
  readonly #maxCharacters: number;
  readonly #decodePool: DecodePool;
  readonly #grammars: Grammars;
  /** One for each request under way; aborting it ends the request, for the reason that it is aborted with. */
  readonly #requests = new Set<AbortController>();
  /** Requests that are tokenized and whose images are decoded. */
  #preparing = 0;
  #disposal: Promise<void> | undefined;

  private constructor(parts: EngineParts, options: EngineOptions) {
    const { model, files, runner, visionQueue, maxRunning } = parts;
    const { description } = model;
    this.#model = model;
    this.#files = files;
    this.#runner = runner;
    this.#visionQueue = visionQueue;
    // In half precision a step with a draft rounds otherwise than steps of one token: logits differ by up to 0.005
    // (measured on the demo), so that whether tokens were guessed, which depends on time, could change an answer.
    this.#loop = new EngineLoop(runner, visionQueue, { maxRunning, drafts: parts.computeType === "float32" });
    this.#maxRunning = maxRunning;
    this.queue = new AdmissionQueue({
      concurrency: maxRunning,
      maxWaiting: options.maxWaiting ?? DEFAULT_MAX_WAITING,
      ...(options.maxWaitMs === undefined ? {} : { maxWaitMs: options.maxWaitMs }),
    });
    this.#decodePool = new DecodePool(options.images);
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
      const visionQueue = new VisionQueue(encoder, features);
      const parts = { model, files, runner, visionQueue, maxRunning: limits.running, computeType };
      const engine = new Engine(parts, options);
      loaded.move();
      return engine;
    } catch (error) {
      throw loadError(error, folder);
    }
  }

  get occupancy(): Occupancy {
    const waiting = this.queue.waiting + this.#loop.waiting.length + this.#preparing;
    return { running: this.#loop.running.length, waiting, slots: this.#maxRunning };
  }

  get holdings(): Holdings {
    return this.#runner.holdings;
  }

  /** The sequences that run now; slots of `occupancy.slots` beyond these are free. */
  get progress(): readonly SequenceProgress[] {
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
   * reader stops, the engine stops before its next step and the slot is free. A reader that is slower than the model
   * delays no other request: its events wait, at most one for each token of the answer.
   */
  generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterableIterator<EngineEvent, void, void> {
    return singleChoice(this.generateChoices(request, 1, signal));
  }

  /**
   * Answers a request `choices` times with the seeds that follow its own. The choices count as one request in the queue;
   * each ends with one terminal event, or all with an error as the last event.
   */
  generateChoices(
    request: GenerateRequest,
    choices: number,
    signal?: AbortSignal,
  ): AsyncIterableIterator<ChoiceEvent, void, void> {
    const stop = new AbortController();
    return stoppable(this.#answer(choicesOf(request, choices), stop, signal), stop);
  }

  /**
   * How much a word of an answer owes to each part of an image (occlusion-map.ts), as progress and then the map. Throws
   * LlavaErrors. Its runs come after all requests that wait, a few at a time; each time the map takes a place in the queue.
   */
  async *occlusionMap(
    request: OcclusionRequest,
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
      const plans = await planImages(description, request, this.#decodePool, stop.signal);
      requireRoom(this.#model, word, plans);
      const images = await decodeImages(description, request, plans, this.#decodePool, stop.signal);
      yield* computeMap(this.#model, request, word, images, {
        score: async (prompt, tokens) => await this.#score(prompt, tokens, stop.signal),
        turn: async () => await this.queue.acquire(stop.signal, { priority: AFTER_REQUESTS }),
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
    this.#visionQueue[Symbol.dispose]();
    this.#decodePool[Symbol.dispose]();
    this.#grammars[Symbol.dispose]();
  }

  async *#answer(
    requests: Choices,
    stop: AbortController,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ChoiceEvent, void, void> {
    const abort = (): void => stop.abort(cancelled());
    if (signal?.aborted) abort();
    // Not AbortSignal.any: the caller's signal may live as long as the process, and this listener must not.
    signal?.addEventListener("abort", abort, { once: true });
    this.#requests.add(stop);
    try {
      if (this.#disposal) throw shuttingDown();
      yield* answerChoices(requests, {
        queue: this.queue,
        stop,
        start: async (request, arrivedAt) => await this.#start(request, stop.signal, arrivedAt),
      });
    } catch (error) {
      yield { index: 0, event: { type: "error", error: requestError(error, stop.signal) } };
    } finally {
      abort();
      signal?.removeEventListener("abort", abort);
      this.#requests.delete(stop);
    }
  }

  async #start(request: GenerateRequest, signal: AbortSignal, arrivedAt: number): Promise<Sequence> {
    signal.throwIfAborted();
    const admission = {
      arrivedAt,
      signal,
      decodePool: this.#decodePool,
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

/** Limits the context length: a made-up one in config.json must not decide what is allocated. */
function within(model: ModelFolder): ModelFolder {
  const { description } = model;
  const contextLength = Math.min(description.text.contextLength, MAX_CONTEXT_LENGTH);
  return { ...model, description: { ...description, text: { ...description.text, contextLength } } };
}
