/**
 * Reads the fields of both OpenAI endpoints that choose an answer's tokens and its end. They are OpenAI's
 * (https://platform.openai.com/docs/api-reference/chat/create), and six of vLLM's (`SamplingParams` in
 * `vllm/sampling_params.py`): min_p, top_k, repetition_penalty, stop_token_ids, min_tokens, ignore_eos.
 */
import { z } from "zod";

/** The largest values of the fields. */
export const SAMPLING_LIMITS = {
  /** The texts in `stop`. */
  stops: 4,
  /** The characters of each of them. */
  stopLength: 64,
  /** The ids in `stop_token_ids`. */
  stopTokens: 64,
  /** The entries of `logit_bias`. */
  biases: 1024,
  /** The answers to one request, `n`. */
  choices: 8,
  /** The number `top_logprobs`. */
  topLogprobs: 20,
  /** The number `max_tokens`. */
  maxTokens: 1_000_000,
} as const;

/** The fields of a body as a client writes them; `Sampling` has their meaning and range. */
export interface SamplingBody {
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly repetition_penalty?: number;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly logit_bias?: Readonly<Record<string, number>>;
  readonly n?: number;
  readonly max_tokens?: number;
  readonly min_tokens?: number;
  readonly stop?: string | readonly string[];
  readonly stop_token_ids?: readonly number[];
  readonly ignore_eos?: boolean;
  readonly seed?: number;
}

/** The same fields, checked; absent options are absent. */
export interface Sampling {
  /** The divisor of the logits, from 0 to 2; 0 chooses the likeliest token. */
  readonly temperature?: number;
  /** The share of probability whose likeliest tokens are chosen from, above 0, up to 1. */
  readonly topP?: number;
  /** The number of the likeliest tokens that are chosen from; 0 means all. */
  readonly topK?: number;
  /** The least probability of a token in shares of the likeliest one, from 0 to 1; 0 means all. */
  readonly minP?: number;
  /** The divisor of the positive logits of tokens that were there before, above 0, up to 100; 1 means none. */
  readonly repetitionPenalty?: number;
  /** The number that is subtracted from the logits of tokens that the answer has, from -2 to 2; 0 means none. */
  readonly presencePenalty?: number;
  /** The number that is subtracted from them for each time that the answer has them, from -2 to 2; 0 means none. */
  readonly frequencyPenalty?: number;
  /** The numbers that are added to the logits of tokens, by their ids, from -100 to 100. */
  readonly logitBias?: ReadonlyMap<number, number>;
  /** The most tokens of the answer. */
  readonly maxTokens?: number;
  /** The tokens before which the answer does not end by itself. */
  readonly minTokens?: number;
  /** The texts that end the answer and are not part of it. */
  readonly stop: readonly string[];
  /** The ids of the tokens that end the answer. */
  readonly stopTokenIds?: readonly number[];
  /** Whether the model's own end tokens do not end the answer. */
  readonly ignoreEos?: boolean;
  /** The seed of the sampler, a signed 32-bit number. */
  readonly seed?: number;
  /** The number of answers to the request; the answer with the index i has the seed + i. */
  readonly n: number;
}

const LARGEST_INT32 = 2 ** 31 - 1;
const MAX_REPETITION_PENALTY = 100;

const range = (what: string, least: number, most: number): z.ZodNumber =>
  z.number(what).min(least, what).max(most, what);
const count = (what: string, least: number, most: number): z.ZodNumber =>
  z
    .int(what)
    .min(least, what)
    .max(most, most === LARGEST_INT32 ? "a whole number up to 2147483647" : `at most ${most}`);
const tokens = count("a whole number from 1", 1, SAMPLING_LIMITS.maxTokens);
const penalty = range("a number from -2 to 2", -2, 2).optional();
const aboveZero = (what: string, most: number): z.ZodNumber => z.number(what).gt(0, what).max(most, what);
const stop = z
  .string("a text")
  .min(1, "a text of 1 to 64 characters")
  .max(SAMPLING_LIMITS.stopLength, "a text of 1 to 64 characters")
  .refine((value) => value.isWellFormed(), "well-formed Unicode without half characters");
const tokenId = count("a token's id", 0, LARGEST_INT32);
const biases = "an object of at most 1024 token ids with numbers from -100 to 100";

/** The part of both bodies' schemas. */
export const samplingFields = {
  temperature: range("a number from 0 to 2", 0, 2).optional(),
  top_p: aboveZero("a number above 0, up to 1", 1).optional(),
  top_k: count("a whole number from 0", 0, LARGEST_INT32).optional(),
  min_p: range("a number from 0 to 1", 0, 1).optional(),
  repetition_penalty: aboveZero("a number above 0, up to 100", MAX_REPETITION_PENALTY).optional(),
  presence_penalty: penalty,
  frequency_penalty: penalty,
  logit_bias: z
    .record(z.string().regex(/^\d{1,9}$/, biases), range("a number from -100 to 100", -100, 100), biases)
    .refine((value) => Object.keys(value).length <= SAMPLING_LIMITS.biases, biases)
    .optional(),
  n: count("a whole number from 1", 1, SAMPLING_LIMITS.choices).optional(),
  max_tokens: tokens.optional(),
  max_completion_tokens: tokens.optional(),
  min_tokens: count("a whole number from 0", 0, SAMPLING_LIMITS.maxTokens).optional(),
  stop: z
    .preprocess(
      (value) => (typeof value === "string" ? [value] : value),
      z.array(stop, "a text or a list of texts").max(SAMPLING_LIMITS.stops, "a list of at most 4 texts"),
    )
    .optional(),
  stop_token_ids: z
    .array(tokenId, "a list of token ids")
    .max(SAMPLING_LIMITS.stopTokens, "a list of at most 64 token ids")
    .optional(),
  ignore_eos: z.boolean("true or false").optional(),
  seed: z.int32("a whole number from -2147483648 to 2147483647").optional(),
};
const samplingSchema = z.object(samplingFields);

/** The checked fields under the names that this project uses. */
export function readSampling(wire: z.infer<typeof samplingSchema>): Sampling {
  const maxTokens = wire.max_completion_tokens ?? wire.max_tokens;
  const bias = Object.entries(wire.logit_bias ?? {}).map(([id, value]) => [Number(id), value] as const);
  return {
    ...(wire.temperature === undefined ? {} : { temperature: wire.temperature }),
    ...(wire.top_p === undefined ? {} : { topP: wire.top_p }),
    ...(wire.top_k === undefined ? {} : { topK: wire.top_k }),
    ...(wire.min_p === undefined ? {} : { minP: wire.min_p }),
    ...(wire.repetition_penalty === undefined ? {} : { repetitionPenalty: wire.repetition_penalty }),
    ...(wire.presence_penalty === undefined ? {} : { presencePenalty: wire.presence_penalty }),
    ...(wire.frequency_penalty === undefined ? {} : { frequencyPenalty: wire.frequency_penalty }),
    ...(bias.length === 0 ? {} : { logitBias: new Map(bias) }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(wire.min_tokens === undefined ? {} : { minTokens: wire.min_tokens }),
    stop: wire.stop ?? [],
    ...(wire.stop_token_ids === undefined ? {} : { stopTokenIds: wire.stop_token_ids }),
    ...(wire.ignore_eos === undefined ? {} : { ignoreEos: wire.ignore_eos }),
    ...(wire.seed === undefined ? {} : { seed: wire.seed }),
    n: wire.n ?? 1,
  };
}
