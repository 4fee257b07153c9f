/** One request on its way through the engine: its tokens, how far it is, and where its events go. */
import type { LlavaError } from "@llava/protocol";
import type { Detokenizer } from "./detokenizer.ts";
import { EventQueue } from "./event-queue.ts";
import type { EngineEvent, FinishReason } from "./request.ts";
import type { SamplingSettings } from "./sampler.ts";

/** A picture of the prompt: its pixels, and which positions of the prompt its features fill. */
export interface PromptPicture {
  /** [3, size, size] */
  readonly pixels: Float32Array;
  readonly start: number;
  readonly tokens: number;
}

export interface Prompt {
  /** One id for each position; any valid id where a picture stands. */
  readonly ids: readonly number[];
  readonly pictures: readonly PromptPicture[];
}

export interface SequenceOptions {
  readonly prompt: Prompt;
  readonly sampling: SamplingSettings;
  readonly maxTokens: number;
  readonly endTokens: ReadonlySet<number>;
  readonly detokenizer: Detokenizer;
  readonly arrivedAt: number;
  readonly signal: AbortSignal;
}

/** Milliseconds of the process clock at which things happened first. */
interface Marks {
  started?: number;
  encoded?: number;
  firstToken?: number;
}

export class Sequence {
  readonly prompt: Prompt;
  readonly sampling: SamplingSettings;
  readonly maxTokens: number;
  readonly events = new EventQueue<EngineEvent>();
  readonly signal: AbortSignal;
  /** Milliseconds of the process clock. */
  readonly arrivedAt: number;
  readonly #options: SequenceOptions;
  readonly #marks: Marks = {};
  readonly #generated: number[] = [];
  /** Pictures whose features are there. */
  #encoded = 0;
  /** Positions whose keys and values are in the cache. */
  #cached = 0;

  constructor(options: SequenceOptions) {
    this.prompt = options.prompt;
    this.sampling = options.sampling;
    this.maxTokens = options.maxTokens;
    this.signal = options.signal;
    this.arrivedAt = options.arrivedAt;
    this.#options = options;
  }

  get isDone(): boolean {
    return this.events.isClosed;
  }

  get cachedTokens(): number {
    return this.#cached;
  }

  get generatedTokens(): number {
    return this.#generated.length;
  }

  /** Positions that the cache needs room for. */
  get capacity(): number {
    return this.prompt.ids.length + this.maxTokens;
  }

  /** The first picture without features, or undefined. */
  get nextPicture(): number | undefined {
    return this.#encoded < this.prompt.pictures.length ? this.#encoded : undefined;
  }

  get isPrefilled(): boolean {
    return this.#cached >= this.prompt.ids.length;
  }

  /** The newest token, which the next decode step feeds. */
  get lastToken(): number {
    return this.#generated.at(-1) ?? 0;
  }

  start(now: number): void {
    this.#marks.started ??= now;
  }

  commitPicture(now: number): void {
    this.#encoded += 1;
    this.#marks.encoded = now;
  }

  commitCached(tokens: number): void {
    this.#cached += tokens;
  }

  /** Takes a sampled token: emits its text, or ends the sequence. */
  commitToken(id: number, now: number): void {
    this.#marks.firstToken ??= now;
    this.#generated.push(id);
    if (this.#options.endTokens.has(id)) return this.finish("stop", now);
    const { text, isStopped } = this.#options.detokenizer.push(id);
    this.events.push({ type: "text-delta", text, tokenIds: [id] });
    if (isStopped) this.#close("stop", now);
    else if (this.#generated.length >= this.maxTokens) this.finish("length", now);
  }

  /** Ends well: what was held back comes out first. */
  finish(reason: FinishReason, now: number): void {
    const { text } = this.#options.detokenizer.finish();
    if (text !== "") this.events.push({ type: "text-delta", text, tokenIds: [] });
    this.#close(reason, now);
  }

  fail(error: LlavaError): void {
    if (this.isDone) return;
    this.events.push({ type: "error", error });
    this.events.close();
  }

  #close(reason: FinishReason, now: number): void {
    const { started = now, encoded, firstToken = now } = this.#marks;
    const { arrivedAt } = this;
    const imageTokens = this.prompt.pictures.reduce((sum, picture) => sum + picture.tokens, 0);
    this.events.push({
      type: "finished",
      reason,
      usage: { promptTokens: this.prompt.ids.length, imageTokens, completionTokens: this.#generated.length },
      timings: {
        queueMs: started - arrivedAt,
        encodeMs: (encoded ?? started) - started,
        prefillMs: firstToken - (encoded ?? started),
        firstTokenMs: firstToken - arrivedAt,
        decodeMs: now - firstToken,
      },
    });
    this.events.close();
  }
}
