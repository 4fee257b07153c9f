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
  /** That the decoding of its pictures took. */
  readonly picturesMs?: number;
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
  /** The newest of these, whose text has not been emitted: half a character, the beginning of a stop string. */
  #unsaid: number[] = [];
  /** The prompt, and the tokens of an answer that is continued. */
  #prefix: readonly number[];
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
    this.#prefix = options.prompt.ids;
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

  /** One id for each position that is to be in the cache before the next token is sampled. */
  get prefix(): readonly number[] {
    return this.#prefix;
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
    return this.#cached >= this.#prefix.length;
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

  /**
   * Takes the tokens of an answer that is to be continued, before anything is computed; their text is its reader's already.
   * When they end the answer, nothing is left to compute.
   */
  resume(tokens: readonly number[], now: number): void {
    for (const id of tokens) {
      const { reason } = this.#take(id);
      if (reason !== undefined) return this.#close(reason, now);
    }
    this.#prefix = [...this.prompt.ids, ...tokens];
  }

  /** Takes a sampled token: emits its text, ends the sequence when it is the last one. */
  commitToken(id: number, now: number): void {
    this.#marks.firstToken ??= now;
    const { text, reason } = this.#take(id);
    this.#unsaid.push(id);
    if (text !== "") {
      this.events.push({ type: "text-delta", text, tokens: this.#unsaid });
      this.#unsaid = [];
    }
    if (reason !== undefined) this.#close(reason, now);
  }

  /** With the last token comes what was held back: a token's text is a matter of the tokens up to it, and of nothing else. */
  #take(id: number): { readonly text: string; readonly reason?: FinishReason } {
    const { detokenizer, endTokens } = this.#options;
    this.#generated.push(id);
    if (endTokens.has(id)) return { text: detokenizer.finish().text, reason: "stop" };
    const { text, isStopped } = detokenizer.push(id);
    if (isStopped) return { text, reason: "stop" };
    if (this.#generated.length < this.maxTokens) return { text };
    return { text: text + detokenizer.finish().text, reason: "length" };
  }

  fail(error: LlavaError): void {
    if (this.isDone) return;
    this.events.push({ type: "error", error });
    this.events.close();
  }

  #close(reason: FinishReason, now: number): void {
    const { started = now, encoded, firstToken = now } = this.#marks;
    const { arrivedAt, picturesMs } = this.#options;
    const imageTokens = this.prompt.pictures.reduce((sum, picture) => sum + picture.tokens, 0);
    this.events.push({
      type: "finished",
      reason,
      usage: { promptTokens: this.prompt.ids.length, imageTokens, completionTokens: this.#generated.length },
      timings: {
        queueMs: started - arrivedAt,
        ...(picturesMs === undefined ? {} : { picturesMs }),
        encodeMs: (encoded ?? started) - started,
        prefillMs: firstToken - (encoded ?? started),
        firstTokenMs: firstToken - arrivedAt,
        decodeMs: now - firstToken,
      },
    });
    this.events.close();
  }
}
