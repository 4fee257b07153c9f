/** One request on its way through the engine: its tokens, how far it is, and where its events go. */
import type { ImagePlan } from "@llava/processing";
import type { LlavaError } from "@llava/protocol";
import type { Detokenizer } from "../sampling/detokenizer.ts";
import { EventQueue } from "./event-queue.ts";
import type { CachedPrefix } from "../kv-cache/cached-prefix.ts";
import type { EngineEvent, FinishReason } from "../api/request.ts";
import type { GrammarMatcher } from "../grammar/grammar.ts";
import type { TokenLogprobs } from "../sampling/logprobs.ts";
import { type Choice, type ChoiceSettings, SamplerChain } from "../sampling/logits-pipeline.ts";

/** An image of the prompt: its pixels, and which positions of the prompt its features fill. */
export interface PromptImage {
  /** Equal for images of the same features, and only for those. */
  readonly key: string;
  readonly plan: ImagePlan;
  /** Pixels of the plan's tiles, [tiles, 3, size, size]. */
  readonly pixels: Float32Array;
  readonly start: number;
  readonly tokens: number;
  /** Some of it was painted over to see what becomes of an answer: nobody will ask about it again. */
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
  /** What the answer must be; lives as long as the request. */
  readonly grammar?: GrammarMatcher;
  /** What the answer is, whatever the model would say: only how likely that was is wanted. Needs `topLogprobs`. */
  readonly forced?: readonly number[];
  /** Called while the prompt is computed: positions that are in the cache, and all. */
  readonly onPrefill?: (done: number, total: number) => void;
  readonly maxTokens: number;
  readonly endTokens: ReadonlySet<number>;
  readonly detokenizer: Detokenizer;
  readonly arrivedAt: number;
  /** Of the request; 0 when absent. */
  readonly priority?: number;
  /** That the decoding of its images took. */
  readonly imagesMs?: number;
  readonly signal: AbortSignal;
}

/** Milliseconds of the process clock at which things happened first. */
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
  /** The newest of these, whose text has not been emitted: half a character, the beginning of a stop string. */
  #unsaid: number[] = [];
  /** Of these, where the request wants to know. */
  #unsaidLogprobs: TokenLogprobs[] = [];
  readonly #chain: SamplerChain;
  /** Positions whose keys and values are in the cache. */
  #cached = 0;
  /** Of the prompt's positions, those that another request had left there. */
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
    this.#chain = new SamplerChain({
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

  /** Of the answer so far, where the request wants to know. */
  get logprob(): number {
    return this.#logprob;
  }

  /** What is computed of it is of use to nobody else. */
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

  /** What is in the cache of it. */
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

  /** Only a token of text is pending: one row of a step for many. */
  get isDecoding(): boolean {
    return this.pending === 1 && this.imageAt(this.#cached) === undefined;
  }

  imageAt(position: number): PromptImage | undefined {
    return this.prompt.images.find(({ start, tokens }) => position >= start && position < start + tokens);
  }

  /** Images of which not every position is in the cache when `cached` positions are. */
  imagesAfter(cached: number): readonly PromptImage[] {
    return this.prompt.images.filter(({ start, tokens }) => start + tokens > cached);
  }

  /** Work on it has begun: the encoder runs, or it has a place in the cache. */
  start(now: number): void {
    this.#marks.started ??= now;
  }

  /** It has a place in the cache, where its first `cached` positions are there already. */
  admit(cached: number, now: number): void {
    this.start(now);
    this.#marks.admitted ??= now;
    this.#cached = cached;
    if (this.#marks.firstToken === undefined) this.#reused = Math.min(cached, this.prompt.ids.length);
    this.#tellPrefill();
  }

  #tellPrefill(): void {
    const { length } = this.prompt.ids;
    if (this.#marks.firstToken === undefined)
      this.#options.onPrefill?.(Math.min(this.#cached, length), length);
  }

  /** It has lost its place; all that is known of it is computed again. */
  evict(): void {
    this.#cached = 0;
  }

  commitEncoded(milliseconds: number): void {
    this.#encodeMs += milliseconds;
  }

  commitCached(positions: number): void {
    this.#cached += positions;
    this.#tellPrefill();
  }

  /**
   * Takes the tokens of an answer that is to be continued, before anything is computed; their text is its reader's already.
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
    return this.#chain.choose(logits);
  }

  /** Takes a sampled token: emits its text, ends the sequence when it is the last one. */
  commitToken({ id, logprobs }: Choice, now: number): void {
    this.#marks.firstToken ??= now;
    const { text, reason } = this.#take(id);
    this.#unsaid.push(id);
    if (logprobs) {
      this.#unsaidLogprobs.push(logprobs);
      this.#logprob += logprobs.logprob;
    }
    if (text !== "") this.#say(text, reason === "stop");
    if (reason !== undefined) this.#close(reason, now);
  }

  /** @param isCut the last tokens may say what is not said any more: an end token, a stop string */
  #say(text: string, isCut: boolean): void {
    const tokens = this.#unsaid;
    const logprobs = this.#unsaidLogprobs;
    this.#unsaid = [];
    this.#unsaidLogprobs = [];
    if (logprobs.length === 0) return this.events.push({ type: "text-delta", text, tokens });
    const numSaid = isCut ? this.#options.detokenizer.countSaid(tokens, text) : tokens.length;
    this.events.push({ type: "text-delta", text, tokens, logprobs: logprobs.slice(0, numSaid) });
  }

  /** With the last token comes what was prefix back: a token's text is a matter of the tokens up to it, and of nothing else. */
  #take(id: number): { readonly text: string; readonly reason?: FinishReason } {
    const { detokenizer, endTokens, sampling } = this.#options;
    this.#ids.push(id);
    this.#chain.accept(id);
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

/** Without the positions of images. */
function* textIds({ ids, images }: Prompt): Generator<number> {
  for (const [position, id] of ids.entries())
    if (!images.some(({ start, tokens }) => position >= start && position < start + tokens)) yield id;
}
