/** One answer of the scripted model as events: when it ends, what is held back for a stop string, and what it counts. */
import { randomInt } from "node:crypto";
import type {
  BackendRequest,
  FinishReason,
  GenerateEvent,
  SequenceProgress,
  TokenLogprobs,
} from "@llava/backend";
import { jsonInstance } from "./scripted-json.ts";
import { FIRST_BYTE_ID, sampleToken, type Sampled } from "./scripted-model.ts";
import type { ScriptedPrompt } from "./scripted-prompt.ts";

interface Clock {
  /** Milliseconds of the process clock. */
  readonly arrivedMs: number;
  readonly startedMs: number;
}

export class ScriptedAnswer {
  readonly #request: BackendRequest;
  readonly #prompt: ScriptedPrompt;
  readonly #clock: Clock;
  readonly #seed: number;
  readonly #maxTokens: number;
  /** The tokens of an answer in JSON; null for one that is sampled. */
  readonly #forced: readonly number[] | null;
  readonly #tokens: number[];
  /** Tokens whose text is not emitted yet, because it may be the beginning of a stop string. */
  #held: Sampled[] = [];
  #firstTokenMs: number | null = null;
  #isDone = false;

  constructor(request: BackendRequest, prompt: ScriptedPrompt, contextLength: number, clock: Clock) {
    this.#request = request;
    this.#prompt = prompt;
    this.#clock = clock;
    this.#seed = request.seed ?? randomInt(2 ** 31);
    this.#maxTokens = Math.min(request.maxTokens ?? Infinity, contextLength - prompt.promptTokens);
    this.#forced = request.grammar === undefined ? null : tokensOf(jsonInstance(request.grammar, this.#seed));
    this.#tokens = [...(request.resume?.tokens ?? [])];
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  get progress(): SequenceProgress {
    const { promptTokens } = this.#prompt;
    const generatedTokens = this.#tokens.length;
    return {
      promptTokens,
      cachedTokens: promptTokens + generatedTokens,
      generatedTokens,
      maxTokens: this.#maxTokens,
    };
  }

  /** Number of tokens so far. */
  get position(): number {
    return this.#tokens.length;
  }

  /** The events of the next token: a delta, the end, both, or none while text is held back. */
  step(): readonly GenerateEvent[] {
    const { stopTokenIds = [], minTokens = 0, stop = [] } = this.#request;
    if (this.#tokens.length >= this.#maxTokens) return this.#end("length");
    if (this.#forced !== null && this.#tokens.length >= this.#forced.length) return this.#end("stop");
    const token = this.#next();
    this.#firstTokenMs ??= performance.now();
    const mayEnd = this.#tokens.length >= minTokens;
    this.#tokens.push(token.id);
    if (mayEnd && stopTokenIds.includes(token.id)) return this.#end("stop");
    this.#held.push(token);
    const text = textOf(this.#held);
    const at = mayEnd ? Math.min(...stop.map((each) => text.indexOf(each)).filter((i) => i >= 0)) : Infinity;
    if (Number.isFinite(at)) return [...this.#emit(at), ...this.#end("stop", true)];
    if (this.#tokens.length === this.#maxTokens) return this.#end("length");
    return this.#emit(text.length - heldLength(text, stop));
  }

  #next(): Sampled {
    const forced = this.#forced?.[this.#tokens.length];
    if (forced !== undefined) return { id: forced, logprobs: null };
    return sampleToken(this.#prompt.key, this.#seed, this.#tokens, this.#request);
  }

  /** Emits the text of the first held tokens. */
  #emit(count: number): GenerateEvent[] {
    const tokens = this.#held.splice(0, count);
    if (tokens.length === 0) return [];
    const logprobs = tokens.flatMap(({ logprobs: each }): TokenLogprobs[] => (each === null ? [] : [each]));
    const delta = { type: "text-delta", text: textOf(tokens), tokens: tokens.map(({ id }) => id) } as const;
    return [this.#request.logprobs === undefined ? delta : { ...delta, logprobs }];
  }

  #end(reason: FinishReason, isCut = false): GenerateEvent[] {
    const rest = isCut ? [] : this.#emit(this.#held.length);
    this.#isDone = true;
    const { arrivedMs, startedMs } = this.#clock;
    const now = performance.now();
    const firstTokenMs = this.#firstTokenMs ?? now;
    const { promptTokens, imageTokens } = this.#prompt;
    return [
      ...rest,
      {
        type: "finished",
        reason,
        usage: { promptTokens, imageTokens, cachedTokens: 0, completionTokens: this.#tokens.length },
        timings: {
          queueMs: startedMs - arrivedMs,
          encodeMs: 0,
          prefillMs: firstTokenMs - startedMs,
          firstTokenMs: firstTokenMs - arrivedMs,
          decodeMs: now - firstTokenMs,
        },
      },
    ];
  }
}

/** How many characters at the end of a text may be the beginning of a stop string. */
function heldLength(text: string, stops: readonly string[]): number {
  for (
    let length = Math.min(text.length, Math.max(0, ...stops.map((stop) => stop.length - 1)));
    length > 0;
    length--
  )
    if (stops.some((stop) => stop.startsWith(text.slice(-length)))) return length;
  return 0;
}

/** One character for each token: the model samples no others unless a bias wants them. */
function textOf(tokens: readonly Sampled[]): string {
  return tokens.map(({ id }) => String.fromCharCode(Math.max(0, id - FIRST_BYTE_ID))).join("");
}

function tokensOf(text: string): readonly number[] {
  return [...Buffer.from(text)].map((byte) => FIRST_BYTE_ID + byte);
}
