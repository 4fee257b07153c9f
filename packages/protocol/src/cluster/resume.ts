/**
 * What passes between a controller and a worker beside a request's body, so that another worker can finish an answer that
 * the first one began: the seed and the token ids that the client's text was made of, as comment lines of the stream,
 * which every reader of server-sent events skips.
 */
import { z } from "zod";

import type { CompletionHead } from "../openai/completion.ts";

/** A controller sends it with the value RESUME_VERSION; a worker honours it only from a peer of the cluster. */
export const RESUME_HEADER = "x-llava-resume";
export const RESUME_VERSION = "1";
/** The field of a body that asks a worker to continue another one's answer. */
export const RESUME_FIELD = "llava_resume";
/** A block of its own, written where a stream goes on from another worker. */
export const SSE_MIGRATED = ": migrated\n\n";

/** Each line ends with a line feed and stands before the data line of its block. */
const HEAD_PREFIX = ": llava ";
const TOKENS_PREFIX = ": t ";
const HEAD_JSON = /^\{"id":"([\w-]{1,64})","created":(\d{1,13}),"seed":(-?\d{1,16})\}$/;
const MAX_CREATED_S = 2 ** 40;
/** The largest vocabularies have some 260,000 entries; the tokenizer's own limit is this too. */
const MAX_TOKEN_ID = 1_000_000;
/** No context that an engine serves holds more. */
export const MAX_RESUME_TOKENS = 131_072;

/** What a continuation must repeat. */
export interface ResumeHead extends Pick<CompletionHead, "id" | "created"> {
  /** Of the sampler: the client's, or the one that the worker drew. */
  readonly seed: number;
}

/** An answer so far: `tokens` are those of the text that its client has. */
export interface Resume extends ResumeHead {
  readonly tokens: readonly number[];
}

const hopHead = z.strictObject({
  id: z
    .string("an answer's id")
    .regex(/^[\w-]{1,64}$/, "an answer's id: letters, digits, - and _, at most 64"),
  created: z.int("a time in seconds").min(0, "a time in seconds").max(MAX_CREATED_S, "a time in seconds"),
  seed: z.int("a whole number"),
});
/** For the schemas of bodies that may be continued. */
export const resumeSchema = z.strictObject({
  ...hopHead.shape,
  tokens: z
    .array(
      z.int("a token's id").min(0, "a token's id").max(MAX_TOKEN_ID, "a token's id"),
      "a list of token ids",
    )
    .max(MAX_RESUME_TOKENS, `a list of at most ${MAX_RESUME_TOKENS} token ids`),
});

/** `: llava {"id":…,"created":…,"seed":…}`, the first line of a stream's first block. */
export function encodeResumeHead({ id, created, seed }: ResumeHead): string {
  return `${HEAD_PREFIX}${JSON.stringify({ id, created, seed })}\n`;
}

/** `: t 17,905`: the tokens consumed since the last such line; nothing for none. */
export function encodeResumeTokens(tokens: readonly number[]): string {
  return tokens.length === 0 ? "" : `${TOKENS_PREFIX}${tokens.join(",")}\n`;
}

/**
 * Of one line without its end; null for every other line and for one without sense. By one pattern, the form that
 * `encodeResumeHead` writes: every streamed answer passes here before its first word goes out.
 */
export function parseResumeHead(line: string): ResumeHead | null {
  if (!line.startsWith(HEAD_PREFIX)) return null;
  const [, id = "", created, seed] = HEAD_JSON.exec(line.slice(HEAD_PREFIX.length)) ?? [];
  const head = { id, created: Number(created), seed: Number(seed) };
  return Number.isSafeInteger(head.seed) && head.created <= MAX_CREATED_S ? head : null;
}

/** Of one line without its end; null for every other line and for one without sense. */
export function parseResumeTokens(line: string): readonly number[] | null {
  const list = line.startsWith(TOKENS_PREFIX) ? line.slice(TOKENS_PREFIX.length) : "";
  if (!/^\d{1,7}(?:,\d{1,7})*$/.test(list)) return null;
  const tokens = list.split(",").map(Number);
  return tokens.every((id) => id <= MAX_TOKEN_ID) ? tokens : null;
}
