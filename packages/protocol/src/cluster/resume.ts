/**
 * Encodes and parses what a worker sends to its controller so that another worker can finish an answer: the seed and the
 * token ids that the client's text was made of, as comment lines of the stream, which every reader of server-sent events
 * skips.
 */
import { z } from "zod";

/**
 * The header with which a controller asks for these lines. Its value is `RESUME_VERSION`; a worker honours it only when
 * the request is signed with its cluster's token.
 */
export const RESUME_HEADER = "x-llava-resume";
export const RESUME_VERSION = "1";
/** The field of a body that asks a worker to continue an answer of another worker; its value is `Resume`. */
export const RESUME_FIELD = "llava_resume";
/** A comment that the controller writes where a stream goes on from another worker. */
export const SSE_MIGRATED = ": migrated\n\n";

/** How the two kinds of lines begin. Each ends with a line feed and stands before the data line of its event. */
const HEAD_PREFIX = ": llava ";
const TOKENS_PREFIX = ": t ";
const HEAD_JSON = /^\{"id":"([\w-]{1,64})","created":(\d{1,13}),"seed":(-?\d{1,16})\}$/;
/** The latest time that an answer may have begun, in Unix seconds: in the year 36812. */
const MAX_CREATED_S = 2 ** 40;
/** The largest id of a token: the largest vocabularies have some 260,000 entries, and the tokenizer has this limit too. */
const MAX_TOKEN_ID = 1_000_000;
/** The tokens of an answer that can be continued: no context that an engine serves holds more. */
export const MAX_RESUME_TOKENS = 131_072;

/** What a continuation must repeat. */
export interface ResumeHead {
  /** The answer's id (OpenAI's `id`): letters, digits, `-` and `_`, at most 64. */
  readonly id: string;
  /** When the answer began, in Unix seconds (OpenAI's `created`). */
  readonly created: number;
  /** The sampler's seed: the client's, or the one that the worker drew. */
  readonly seed: number;
}

/** An answer so far. */
export interface Resume extends ResumeHead {
  /** The ids of the tokens of the text that the client has, at most `MAX_RESUME_TOKENS`. */
  readonly tokens: readonly number[];
}

const resumeHead = z.strictObject({
  id: z
    .string("an answer's id")
    .regex(/^[\w-]{1,64}$/, "an answer's id: letters, digits, - and _, at most 64"),
  created: z.int("a time in seconds").min(0, "a time in seconds").max(MAX_CREATED_S, "a time in seconds"),
  seed: z.int("a whole number"),
});
/** The schema of the field `RESUME_FIELD`. */
export const resumeSchema = z.strictObject({
  ...resumeHead.shape,
  tokens: z
    .array(
      z.int("a token's id").min(0, "a token's id").max(MAX_TOKEN_ID, "a token's id"),
      "a list of token ids",
    )
    .max(MAX_RESUME_TOKENS, `a list of at most ${MAX_RESUME_TOKENS} token ids`),
});

/** The line `: llava {"id":…,"created":…,"seed":…}`, the first one of a stream. */
export function encodeResumeHead({ id, created, seed }: ResumeHead): string {
  return `${HEAD_PREFIX}${JSON.stringify({ id, created, seed })}\n`;
}

/** The line `: t 17,905` with the tokens since the last such line; empty for none. */
export function encodeResumeTokens(tokens: readonly number[]): string {
  return tokens.length === 0 ? "" : `${TOKENS_PREFIX}${tokens.join(",")}\n`;
}

/**
 * The head in a line without its end; null for every other line, and for one that no worker writes. It is one pattern, the
 * form that `encodeResumeHead` writes, because every streamed answer waits for it before its first text goes out.
 */
export function parseResumeHead(line: string): ResumeHead | null {
  if (!line.startsWith(HEAD_PREFIX)) return null;
  const [, id = "", created, seed] = HEAD_JSON.exec(line.slice(HEAD_PREFIX.length)) ?? [];
  const head = { id, created: Number(created), seed: Number(seed) };
  return Number.isSafeInteger(head.seed) && head.created <= MAX_CREATED_S ? head : null;
}

/** The token ids in a line without its end; null for every other line, and for one that no worker writes. */
export function parseResumeTokens(line: string): readonly number[] | null {
  const list = line.startsWith(TOKENS_PREFIX) ? line.slice(TOKENS_PREFIX.length) : "";
  if (!/^\d{1,7}(?:,\d{1,7})*$/.test(list)) return null;
  const tokens = list.split(",").map(Number);
  return tokens.every((id) => id <= MAX_TOKEN_ID) ? tokens : null;
}
