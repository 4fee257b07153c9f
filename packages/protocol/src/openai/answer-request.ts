/**
 * What OpenAI's two kinds of request for an answer have in common, chat and text: how to sample, when to end, how to
 * send. Apart because both refuse the same fields, by name, that ask for what the engine does not have.
 */
import { z } from "zod";

import { LlavaError } from "../codec/errors.ts";
import { type Resume, resumeSchema } from "../cluster/resume.ts";
import { shown } from "../codec/parse-body.ts";
import { readSampling, type Sampling, type SamplingBody, samplingFields } from "./sampling-fields.ts";

const MAX_MODEL_LENGTH = 256;
/** As vLLM counts, but from 0: a client may let others go first and not push itself before them. */
const LAST_PRIORITY = 100;

/** The fields of a body as a client writes them. */
export interface AnswerRequestBody extends SamplingBody {
  readonly model: string;
  readonly priority?: number;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
}

/** The same, checked; absent options are absent. */
export interface AnswerRequest extends Sampling {
  readonly model: string;
  /** 0 to 100: whoever waits with a smaller one goes first; 0 when absent. */
  readonly priority?: number;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** How many of the likeliest tokens to tell at each place, 0 to 20; nothing is told when absent. */
  readonly logprobs?: number;
  /** Another worker's answer that is to be continued; only a controller of the cluster may ask so. */
  readonly resume?: Resume;
}

/** Whether a value of a field that we do not have asks for nothing. */
export type AsksNothing = (value: unknown) => boolean;

/** Names the fields of a request that its answer owes nothing to. */
export const IGNORED_HEADER = "x-ignored-params";
/** Fields that only say something about the caller or the wire; read by nobody. */
export const IGNORED_FIELDS: ReadonlySet<string> = new Set([
  "metadata",
  "prompt_cache_key",
  "prompt_cache_retention",
  "safety_identifier",
  "user",
]);

/** The schema's part of both bodies. */
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
          // Random padding against listeners; a server may leave it out.
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

/** The checked fields under the names that we use. */
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

/** Those of a body that say something and are read by nobody, for who sent them. */
export function ignoredFields(body: unknown): readonly string[] {
  const fields = withoutNulls(body);
  return isRecord(fields) ? Object.keys(fields).filter((name) => IGNORED_FIELDS.has(name)) : [];
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

export function isOne(value: unknown): boolean {
  return value === 1;
}

export function isFalse(value: unknown): boolean {
  return value === false;
}

export function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
