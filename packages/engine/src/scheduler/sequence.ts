/** Sequence is one request on its way through the engine: its tokens, its progress, and its events. */
import type { ImagePlan } from "@llava/processing";
import type { LlavaError } from "@llava/protocol";
import type { Detokenizer } from "../sampling/detokenizer.ts";
import { EventQueue } from "./event-queue.ts";
import type { CachedPrefix } from "../kv-cache/cached-prefix.ts";
import type { EngineEvent, FinishReason } from "../api/request.ts";
import type { GrammarMatcher } from "../grammar/grammar.ts";
import type { TokenLogprobs } from "../sampling/logprobs.ts";
import { type Choice, type ChoiceSettings, LogitsPipeline } from "../sampling/logits-pipeline.ts";

/** An image of the prompt: its pixels, and which positions of the prompt its features fill. */
export interface PromptImage {
  /** Equal for images of the same features, and only for those. */
  readonly key: string;
  readonly plan: ImagePlan;
  /** Pixels of the plan's tiles, [tiles, 3, size, size]. */
  readonly pixels: Float32Array;
  readonly start: number;
  readonly tokens: number;
  /** Whether part of it was painted over for an occlusion map: its features are of no use to other requests. */
  readonly isMasked?: boolean;
}

export interface Prompt {
  /** One id for each position; any valid id where an image stands. */
  readonly ids: readonly number[];
  readonly images: readonly PromptImage[];
}

export interface SequenceOptions {
  readonly prompt: Prompt;
  readonly sampling: ChoiceSettings;
  /** The grammar that the answer must match; it lives as long as the request. */
  readonly grammar?: GrammarMatcher;
  /** The tokens of the answer, whatever the model would sample, to learn how likely they are. Needs `topLogprobs`. */
  readonly forced?: readonly number[];
  /** Called while the prompt is computed: positions that are in the cache, and all. */
  readonly onPrefill?: (done: number, total: number) => void;
  readonly maxTokens: number;
  readonly endTokens: ReadonlySet<number>;
  readonly detokenizer: Detokenizer;
  readonly arrivedAt: number;
  /** The request's priority; 0 when absent. */
  readonly priority?: number;
  /** Time that the decoding of its images took. */
  readonly imagesMs?: number;
  readonly signal: AbortSignal;
}

/** Milliseconds of the process clock at which each thing happened first. */
interface Marks {
  started?: number;
  admitted?: number;
  firstToken?: number;
}

export class Sequence {
  readonly prompt: Prompt;
  readonly sampling: ChoiceSettings;
  readonly maxTokens: number;
  readonly events = new EventQueue<EngineEvent>();
  readonly signal: AbortSignal;
  /** Milliseconds of the process clock. */
  readonly arrivedAt: number;
  /** Smaller goes first. */
  readonly priority: number;
  readonly #options: SequenceOptions;
  readonly #marks: Marks = {};
  /** The prompt and the answer so far: one id for each position that is known. */
  readonly #ids: number[];
  /** The newest of `#ids`, whose text is not emitted yet: half a character, or the beginning of a stop string. */
  #heldIds: number[] = [];
  /** Their log probabilities, where the request asks for them. */
  #heldLogprobs: TokenLogprobs[] = [];
  readonly #pipeline: LogitsPipeline;
  /** Positions whose keys and values are in the cache. */
  #cached = 0;
  /** Positions of the prompt that were in the cache when the sequence was admitted first. */
  #reused = 0;
  #encodeMs = 0;
  #logprob = 0;

  constructor(options: SequenceOptions) {
    this.prompt = options.prompt;
    this.sampling = options.sampling;
    this.maxTokens = options.maxTokens;
    this.signal = options.signal;
    this.arrivedAt = options.arrivedAt;
    this.priority = options.priority ?? 0;
    this.#options = options;
    this.#ids = [...options.prompt.ids];
    this.#pipeline = new LogitsPipeline({
      settings: options.sampling,
      promptIds: textIds(options.prompt),
      endTokens: options.endTokens,
      ...(options.grammar === undefined ? {} : { grammar: options.grammar }),
      ...(options.forced === undefined ? {} : { forced: options.forced }),
    });
  }

  get isDone(): boolean {
    return this.events.isClosed;
  }

  /** Log probability of the answer so far; 0 where the request does not ask for it. */
  get logprob(): number {
    return this.#logprob;
  }

  /** Whether its keys and values are of no use to other requests. */
  get isEphemeral(): boolean {
    return this.prompt.images.some(({ isMasked }) => isMasked === true);
  }

  get cachedTokens(): number {
    return this.#cached;
  }

  get generatedTokens(): number {
    return this.#ids.length - this.prompt.ids.length;
  }

  /** One id for each position of the prompt and the answer so far. */
  get ids(): readonly number[] {
    return this.#ids;
  }

  /** The part of it that is in the cache. */
  get prefix(): CachedPrefix {
    return { ids: this.#ids, images: this.prompt.images, length: this.#cached };
  }

  /** Tokens that may still come. */
  get tokensLeft(): number {
    return this.maxTokens - this.generatedTokens;
  }

  /** Positions that must be in the cache before the next token is known; never 0 while the sequence runs. */
  get pending(): number {
    return this.#ids.length - this.#cached;
  }

  /** Whether only a token of text is pending, so that it can be computed in one step with others. */
  get isDecoding(): boolean {
    return this.pending === 1 && this.imageAt(this.#cached) === undefined;
  }

  imageAt(position: number): PromptImage | undefined {
    return this.prompt.images.find(({ start, tokens }) => position >= start && position < start + tokens);
  }

  /** Images that are not wholly within the first `cached` positions. */
  imagesAfter(cached: number): readonly PromptImage[] {
    return this.prompt.images.filter(({ start, tokens }) => start + tokens > cached);
  }

  /** Notes that work on it has begun: the encoder runs, or it has a slot. */
  start(now: number): void {
    this.#marks.started ??= now;
  }

  /** Notes that it has a slot, where its first `cached` positions are there already. */
  admit(cached: number, now: number): void {
    this.start(now);
    this.#marks.admitted ??= now;
    this.#cached = cached;
    if (this.#marks.firstToken === undefined) this.#reused = Math.min(cached, this.prompt.ids.length);
    this.#reportPrefill();
  }

  #reportPrefill(): void {
    const { length } = this.prompt.ids;
    if (this.#marks.firstToken === undefined)
      this.#options.onPrefill?.(Math.min(this.#cached, length), length);
  }

  /** Notes that it has lost its slot: all its positions are computed again. */
  evict(): void {
    this.#cached = 0;
  }

  commitEncoded(milliseconds: number): void {
    this.#encodeMs += milliseconds;
  }

  commitCached(positions: number): void {
    this.#cached += positions;
    this.#reportPrefill();
  }

  /**
   * Takes the tokens of an answer that is to be continued, before anything is computed; the reader has their text already.
   * When they end the answer, nothing is left to compute.
   */
  resume(tokens: readonly number[], now: number): void {
    for (const id of tokens) {
      const { reason } = this.#take(id);
      if (reason !== undefined) return this.#close(reason, now);
    }
  }

  /**
   * The next token, from logits [vocabulary] behind all that is committed. Changes nothing. Throws `runtime_failure` when
   * the logits are not numbers or the answer's grammar is lost.
   */
  sample(logits: Float32Array): Choice {
    return this.#pipeline.choose(logits);
  }

  /** Takes a sampled token: emits its text, ends the sequence when it is the last one. */
  commitToken({ id, logprobs }: Choice, now: number): void {
    this.#marks.firstToken ??= now;
    const { text, reason } = this.#take(id);
    this.#heldIds.push(id);
    if (logprobs) {
      this.#heldLogprobs.push(logprobs);
      this.#logprob += logprobs.logprob;
    }
    if (text !== "") this.#emit(text, reason === "stop");
    if (reason !== undefined) this.#close(reason, now);
  }

  /** @param isCut whether the last tokens stand for text that is cut off: an end token, a stop string */
  #emit(text: string, isCut: boolean): void {
    const tokens = this.#heldIds;
    const logprobs = this.#heldLogprobs;
    this.#heldIds = [];
    this.#heldLogprobs = [];
    if (logprobs.length === 0) return this.events.push({ type: "text-delta", text, tokens });
    const numEmitted = isCut ? this.#options.detokenizer.countTokensOf(tokens, text) : tokens.length;
    this.events.push({ type: "text-delta", text, tokens, logprobs: logprobs.slice(0, numEmitted) });
  }

  /** Takes a token; with the last one comes the text that was held back. A token's text depends on the tokens up to it alone. */
  #take(id: number): { readonly text: string; readonly reason?: FinishReason } {
    const { detokenizer, endTokens, sampling } = this.#options;
    this.#ids.push(id);
    this.#pipeline.accept(id);
    if (endTokens.has(id)) return { text: detokenizer.finish().text, reason: "stop" };
    const { text, isStopped } = detokenizer.push(id, this.generatedTokens > (sampling.minTokens ?? 0));
    if (isStopped) return { text, reason: "stop" };
    if (this.generatedTokens < this.maxTokens) return { text };
    return { text: text + detokenizer.finish().text, reason: "length" };
  }

  fail(error: LlavaError): void {
    if (this.isDone) return;
    this.events.push({ type: "error", error });
    this.events.close();
  }

  #close(reason: FinishReason, now: number): void {
    const { started = now, admitted = now, firstToken = now } = this.#marks;
    const { arrivedAt, imagesMs } = this.#options;
    const imageTokens = this.prompt.images.reduce((sum, image) => sum + image.tokens, 0);
    this.events.push({
      type: "finished",
      reason,
      usage: {
        promptTokens: this.prompt.ids.length,
        imageTokens,
        cachedTokens: this.#reused,
        completionTokens: this.generatedTokens,
      },
      timings: {
        queueMs: started - arrivedAt,
        ...(imagesMs === undefined ? {} : { imagesMs }),
        encodeMs: this.#encodeMs,
        prefillMs: firstToken - admitted,
        firstTokenMs: firstToken - arrivedAt,
        decodeMs: now - firstToken,
      },
    });
    this.events.close();
  }
}

/** The ids of a prompt without those at positions of images. */
function* textIds({ ids, images }: Prompt): Generator<number> {
  for (const [position, id] of ids.entries())
    if (!images.some(({ start, tokens }) => position >= start && position < start + tokens)) yield id;
}
