/**
 * Reads the fields that OpenAI's two kinds of request for an answer share, chat and text: how to sample, when to end, how to
 * send. Both also refuse, by name, the fields that ask for what the engine does not have.
 */
import { z } from "zod";

import { LlavaError } from "../codec/errors.ts";
import { type Resume, resumeSchema } from "../cluster/resume.ts";
import { hint, isRecord, shown, withoutNulls } from "../codec/parse-body.ts";
import { readSampling, type Sampling, type SamplingBody, samplingFields } from "./sampling-fields.ts";

/** The longest model name in characters. */
const MAX_MODEL_LENGTH = 256;
/** The last priority. It is vLLM's field, but from 0: a client may let others go first and not put itself before them. */
const LAST_PRIORITY = 100;

/** The fields of a body as a client writes them. */
export interface AnswerRequestBody extends SamplingBody {
  /** The model's name, at most 256 characters (OpenAI). */
  readonly model: string;
  /** A number from 0, the first, to 100: requests with a smaller one go first (vLLM). */
  readonly priority?: number;
  /** Whether the answer comes as server-sent events (OpenAI). */
  readonly stream?: boolean;
  readonly stream_options?: {
    /** Whether a last chunk of the stream has the usage (OpenAI). */
    readonly include_usage?: boolean;
  };
}

/** The same fields, checked; absent options are absent. */
export interface AnswerRequest extends Sampling {
  readonly model: string;
  /** A number from 0, the first, to 100; 0 when absent. */
  readonly priority?: number;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** The number of the likeliest tokens to send with each token, 0 to 20; no log-probabilities when absent. */
  readonly logprobs?: number;
  /** Another worker's answer that is to be continued; only a controller of the cluster may send it. */
  readonly resume?: Resume;
}

/** Whether a value of a field that the engine does not have is as good as none. */
export type IsNeutral = (value: unknown) => boolean;

/** The header of an answer that names the fields of its request which changed nothing. */
export const IGNORED_HEADER = "x-ignored-params";
/** OpenAI's fields that describe the caller or help its caches, and change no answer. */
export const IGNORED_FIELDS: ReadonlySet<string> = new Set([
  "metadata",
  "prompt_cache_key",
  "prompt_cache_retention",
  "safety_identifier",
  "user",
]);

/** The part of both bodies' schemas. */
export const answerFields = {
  model: z
    .string("a model's name")
    .min(1, "a model's name")
    .max(MAX_MODEL_LENGTH, "a name of at most 256 characters"),
  priority: z
    .int("a whole number from 0, the first, to 100")
    .min(0, "a whole number from 0, the first, to 100")
    .max(LAST_PRIORITY, "a whole number from 0, the first, to 100")
    .optional(),
  stream: z.boolean("true or false").optional(),
  stream_options: z
    .preprocess(
      withoutNulls,
      z.strictObject(
        {
          include_usage: z.boolean("true or false").optional(),
          // Random padding that hides the lengths of tokens from listeners; a server may leave it out.
          include_obfuscation: z.boolean("true or false").optional(),
        },
        { error: hint("an object") },
      ),
    )
    .optional(),
  ...samplingFields,
  llava_resume: resumeSchema.optional(),
};
const answerSchema = z.object(answerFields);

/** The checked fields under the names that this project uses. */
export function readAnswerFields(wire: z.infer<typeof answerSchema>): AnswerRequest {
  return {
    model: wire.model,
    ...(wire.priority === undefined ? {} : { priority: wire.priority }),
    stream: wire.stream ?? false,
    includeUsage: wire.stream_options?.include_usage ?? false,
    ...readSampling(wire),
    ...(wire.llava_resume === undefined ? {} : { resume: wire.llava_resume }),
  };
}

/** The names of a body's fields that have a value and change nothing, for `IGNORED_HEADER`. */
export function ignoredFields(body: unknown): readonly string[] {
  const fields = withoutNulls(body);
  return isRecord(fields) ? Object.keys(fields).filter((name) => IGNORED_FIELDS.has(name)) : [];
}

/**
 * The body without nulls, which mean absent, and without fields that change nothing. Throws `invalid_request` naming the
 * first field that asks for what the engine does not have.
 */
export function supportedFields(
  body: unknown,
  unsupported: Readonly<Record<string, IsNeutral>>,
  ignored: ReadonlySet<string>,
): unknown {
  const fields = withoutNulls(body);
  if (!isRecord(fields)) return fields;
  const kept: [string, unknown][] = [];
  for (const [name, value] of Object.entries(fields)) {
    const isNeutral = Object.hasOwn(unsupported, name) ? unsupported[name] : undefined;
    if (isNeutral !== undefined && !isNeutral(value)) {
      throw new LlavaError(
        "invalid_request",
        `The field ${name} is not supported here (it is ${shown(value)}); leave it out.`,
        { param: name },
      );
    }
    if (isNeutral === undefined && !ignored.has(name)) kept.push([name, value]);
  }
  return Object.fromEntries(kept);
}

export function isNeverNeutral(): boolean {
  return false;
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
