/**
 * Turns the model's logits into a token of one answer: grammar, bias, end tokens that may not come yet, penalties, sampling
 * and log probabilities. `choose` changes nothing, so that a step may be thrown away; `accept` adds a token to the answer.
 */
import type { GrammarMatcher } from "../grammar/grammar.ts";
import { type TokenLogprobs, tokenLogprobs } from "./logprobs.ts";
import { ban, bias, isNeutral, penalize, type Penalties } from "./penalties.ts";
import { sampleToken, type SamplingSettings } from "./sampler.ts";

/** All settings of a request for its tokens; absent ones change nothing. */
export interface ChoiceSettings extends SamplingSettings {
  readonly penalties?: Penalties;
  /** Values that are added to the logits, by token id. */
  readonly logitBias?: ReadonlyMap<number, number>;
  /** End tokens are impossible before the answer has this many tokens. */
  readonly minTokens?: number;
  /** Number of the likeliest tokens to report at each place, 0 or more; nothing is reported when absent. */
  readonly topLogprobs?: number;
}

/** A token that was chosen for the next place of an answer. */
export interface Choice {
  readonly id: number;
  readonly logprobs?: TokenLogprobs;
}

export interface LogitsPipelineOptions {
  readonly settings: ChoiceSettings;
  /** Tokens of the prompt's text, without those of images. */
  readonly promptIds: Iterable<number>;
  readonly endTokens: ReadonlySet<number>;
  /** The grammar of the answer, followed from its beginning. */
  readonly grammar?: GrammarMatcher;
  /** The answer's tokens, whatever the model would sample. */
  readonly forced?: readonly number[];
}

export class LogitsPipeline {
  readonly #options: LogitsPipelineOptions;
  readonly #prompt: ReadonlySet<number>;
  readonly #counts = new Map<number, number>();
  /** Penalties of this request; undefined when it has none. */
  readonly #penalties: Penalties | undefined;
  /** Tokens of the answer. */
  #length = 0;
  /** [vocabulary], once there is something to change. */
  #scratch = new Float32Array(0);

  constructor(options: LogitsPipelineOptions) {
    const { penalties } = options.settings;
    this.#options = options;
    this.#penalties = penalties && !isNeutral(penalties) ? penalties : undefined;
    const readsPrompt = this.#penalties !== undefined && this.#penalties.repetition !== 1;
    this.#prompt = new Set(readsPrompt ? options.promptIds : []);
  }

  /** logits [vocabulary], not changed. Throws `runtime_failure` when they are not numbers. */
  choose(logits: Float32Array): Choice {
    const { settings, forced } = this.#options;
    const drawn = sampleToken(this.#adjusted(logits), settings, this.#length);
    const id = forced?.[this.#length] ?? drawn;
    const { topLogprobs } = settings;
    return topLogprobs === undefined ? { id } : { id, logprobs: tokenLogprobs(logits, id, topLogprobs) };
  }

  /** Throws `invalid_request` for a token that the grammar does not allow here: only another model's could be one. */
  accept(id: number): void {
    this.#length += 1;
    if (this.#penalties) this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    const { endTokens, grammar } = this.#options;
    if (!endTokens.has(id)) grammar?.accept(id);
  }

  #adjusted(logits: Float32Array): Float32Array {
    const { settings, endTokens, grammar } = this.#options;
    const { logitBias, minTokens = 0 } = settings;
    const isEarly = this.#length < minTokens;
    if (!grammar && !logitBias && !isEarly && !this.#penalties) return logits;
    if (this.#scratch.length !== logits.length) this.#scratch = new Float32Array(logits.length);
    const adjusted = this.#scratch;
    adjusted.set(logits);
    const mustEnd = grammar?.mask(adjusted, endTokens) ?? false;
    if (logitBias) bias(adjusted, logitBias);
    if (isEarly && !mustEnd) ban(adjusted, endTokens);
    if (this.#penalties) penalize(adjusted, this.#penalties, { prompt: this.#prompt, counts: this.#counts });
    return adjusted;
  }
}
