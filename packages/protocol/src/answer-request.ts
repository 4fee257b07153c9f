/**
 * What OpenAI's two kinds of request for an answer have in common, chat and text: how to sample, when to end, how to
 * send. Apart because both refuse the same fields, by name, that ask for what the engine does not have.
 */
import { z } from "zod";

import { LlavaError } from "./errors.ts";
import { type Resume, resumeSchema } from "./hop.ts";
import { shown } from "./parse-body.ts";

export const ANSWER_LIMITS = {
  stops: 4,
  stopLength: 64,
  modelLength: 256,
  maxTokens: 1_000_000,
} as const;

/** The fields of a body as a client writes them. */
export interface AnswerRequestBody {
  readonly model: string;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly max_tokens?: number;
  readonly stop?: string | readonly string[];
  readonly seed?: number;
}

/** The same, checked; absent options are absent. */
export interface AnswerRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** 0 to 2; 0 is greedy. */
  readonly temperature?: number;
  /** Above 0, up to 1. */
  readonly topP?: number;
  /** 0 means all. */
  readonly topK?: number;
  readonly maxTokens?: number;
  readonly stop: readonly string[];
  readonly seed?: number;
  /** Another worker's answer that is to be continued; only a controller of the cluster may ask so. */
  readonly resume?: Resume;
}

/** Whether a value of a field that we do not have asks for nothing. */
export type AsksNothing = (value: unknown) => boolean;

/** OpenAI's fields that change any answer and that we do not have. */
export const UNSUPPORTED_FIELDS: Readonly<Record<string, AsksNothing>> = {
  frequency_penalty: isZero,
  logit_bias: isEmpty,
  n: isOne,
  presence_penalty: isZero,
};

/** Fields that only say something about the caller or the wire; read by nobody. */
export const IGNORED_FIELDS: ReadonlySet<string> = new Set([
  "metadata",
  "prompt_cache_key",
  "prompt_cache_retention",
  "safety_identifier",
  "user",
]);

const tokens = z
  .int("a whole number from 1")
  .min(1, "a whole number from 1")
  .max(ANSWER_LIMITS.maxTokens, "at most 1000000");
const stop = z
  .string("a text")
  .min(1, "a text of 1 to 64 characters")
  .max(ANSWER_LIMITS.stopLength, "a text of 1 to 64 characters")
  .refine((value) => value.isWellFormed(), "well-formed Unicode without half characters");

/** The schema's part of both bodies. */
export const answerFields = {
  model: z
    .string("a model's name")
    .min(1, "a model's name")
    .max(ANSWER_LIMITS.modelLength, "a name of at most 256 characters"),
  stream: z.boolean("true or false").optional(),
  stream_options: z
    .preprocess(
      withoutNulls,
      z.strictObject(
        {
          include_usage: z.boolean("true or false").optional(),
          // Random padding against listeners; a server may leave it out.
          include_obfuscation: z.boolean("true or false").optional(),
        },
        { error: hint("an object") },
      ),
    )
    .optional(),
  temperature: z
    .number("a number from 0 to 2")
    .min(0, "a number from 0 to 2")
    .max(2, "a number from 0 to 2")
    .optional(),
  top_p: z
    .number("a number above 0, up to 1")
    .gt(0, "a number above 0, up to 1")
    .max(1, "a number above 0, up to 1")
    .optional(),
  top_k: z
    .int("a whole number from 0")
    .min(0, "a whole number from 0")
    .max(2 ** 31 - 1, "a whole number up to 2147483647")
    .optional(),
  max_tokens: tokens.optional(),
  max_completion_tokens: tokens.optional(),
  stop: z
    .preprocess(
      (value) => (typeof value === "string" ? [value] : value),
      z.array(stop, "a text or a list of texts").max(ANSWER_LIMITS.stops, "a list of at most 4 texts"),
    )
    .optional(),
  seed: z.int32("a whole number from -2147483648 to 2147483647").optional(),
  llava_resume: resumeSchema.optional(),
};
const answerSchema = z.object(answerFields);

/** The checked fields under the names that we use. */
export function readAnswerFields(wire: z.infer<typeof answerSchema>): AnswerRequest {
  const maxTokens = wire.max_completion_tokens ?? wire.max_tokens;
  return {
    model: wire.model,
    stream: wire.stream ?? false,
    includeUsage: wire.stream_options?.include_usage ?? false,
    ...(wire.temperature === undefined ? {} : { temperature: wire.temperature }),
    ...(wire.top_p === undefined ? {} : { topP: wire.top_p }),
    ...(wire.top_k === undefined ? {} : { topK: wire.top_k }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    stop: wire.stop ?? [],
    ...(wire.seed === undefined ? {} : { seed: wire.seed }),
    ...(wire.llava_resume === undefined ? {} : { resume: wire.llava_resume }),
  };
}

/**
 * The body without nulls, which mean absent, and without fields that ask for nothing; `invalid_request` naming the first
 * field that asks for what we do not have.
 */
export function supportedFields(
  body: unknown,
  unsupported: Readonly<Record<string, AsksNothing>>,
  ignored: ReadonlySet<string>,
): unknown {
  const fields = withoutNulls(body);
  if (!isRecord(fields)) return fields;
  const kept: [string, unknown][] = [];
  for (const [name, value] of Object.entries(fields)) {
    const asksNothing = Object.hasOwn(unsupported, name) ? unsupported[name] : undefined;
    if (asksNothing !== undefined && !asksNothing(value)) {
      throw new LlavaError(
        "invalid_request",
        `The field ${name} is not supported here (it is ${shown(value)}); leave it out.`,
        { param: name },
      );
    }
    if (asksNothing === undefined && !ignored.has(name)) kept.push([name, value]);
  }
  return Object.fromEntries(kept);
}

/** A schema's own error says what the value must be; unknown keys keep their own complaint, which names them. */
export function hint(what: string): (issue: { readonly code?: string | undefined }) => string | undefined {
  return (issue) => (issue.code === "unrecognized_keys" ? undefined : what);
}

export function withoutNulls(value: unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isNothing(): boolean {
  return false;
}

export function isZero(value: unknown): boolean {
  return value === 0;
}

export function isOne(value: unknown): boolean {
  return value === 1;
}

export function isFalse(value: unknown): boolean {
  return value === false;
}

export function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
