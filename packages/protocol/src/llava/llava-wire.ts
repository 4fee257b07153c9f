/**
 * Parses and encodes the wire of the original LLaVA, which other controllers, workers and scripts use too: its bodies, its
 * fixed strings and numbers, and its stream of JSON objects that each end in one NUL byte. Names and values are those of
 * haotian-liu/LLaVA 1.2.2 (`llava/constants.py`, `llava/utils.py`, `llava/serve`).
 */
import { z } from "zod";

import { decodeBase64 } from "../codec/base64.ts";
import { LlavaError } from "../codec/errors.ts";
import { resumeSchema, type Resume } from "../cluster/resume.ts";
import { parseBody } from "../codec/parse-body.ts";
import { StreamFrameSplitter } from "../codec/stream-splitter.ts";

/** The text of every failure (`server_error_msg` in `llava/utils.py`). */
export const SERVER_ERROR_TEXT =
  "**NETWORK ERROR DUE TO HIGH TRAFFIC. PLEASE REGENERATE OR REFRESH THIS PAGE.**";
/** The text behind a prompt that leaves no room for an answer (`llava/serve/model_worker.py`). */
export const OVERFLOW_TEXT = "Exceeds max token length. Please start a new conversation, thanks.";

/** 0 fine (a context overflow too), 1 the worker failed, 2 no worker has the model, 3 the worker cannot be reached. */
export type WireErrorCode = 0 | 1 | 2 | 3;

/** One frame of a streamed answer. */
export interface WireChunk {
  /** The prompt and all of the answer so far; with a code other than 0 the fixed sentence. */
  readonly text: string;
  /** A `WireErrorCode`, or whatever another program sends. */
  readonly error_code: number;
}

/**
 * The body of `POST /worker_generate_stream`, checked, with the original's defaults filled in and images decoded
 * (`generate_stream` in `llava/serve/model_worker.py`).
 */
export interface WireGenerateRequest {
  /** The model's name; the worker's only model when null. */
  readonly model: string | null;
  /** The conversation in the model's template, at most 131,072 characters; each `<image>` stands for one image. */
  readonly prompt: string;
  /** The encoded files of the images, at most 8. */
  readonly images: readonly Uint8Array[];
  /** The divisor of the logits, from 0 to 2; 0 chooses the likeliest token. */
  readonly temperature: number;
  /** The share of probability whose likeliest tokens are chosen from, above 0, up to 1. */
  readonly topP: number;
  /** The most tokens of the answer, at most 1024. */
  readonly maxNewTokens: number;
  /** A text of at most 64 characters that ends the answer. */
  readonly stop: string | null;
  /** The beginning of this answer that the client has from another worker; only a controller sends it. */
  readonly resume: WireResume | null;
}

export interface WireResume extends Resume {
  /** The last frame that the client has. */
  readonly sentFrame: WireChunk;
}

const MAX_WIRE_NEW_TOKENS = 1024;

const addressRequest = z.object({ model: z.string("a model's name") });
const chunk = z.object({ text: z.string("a string"), error_code: z.number("a number") });

/** A number, or one in a string, as the original reads numbers with Python's `float`. */
const numeric = (what: string) =>
  z.preprocess(
    (value) => (typeof value === "string" && value.trim() !== "" ? Number(value) : value),
    z.number(what),
  );
const generateRequest = z.object({
  model: z.string("a model's name").nullish(),
  prompt: z.string("the prompt, a string").max(131_072, "a prompt of at most 131072 characters"),
  images: z
    .array(z.string("an image in base64"), "a list of images in base64")
    .max(8, "at most 8 images")
    .nullish(),
  temperature: numeric("a number from 0 to 2")
    .refine((value) => value >= 0 && value <= 2, "a number from 0 to 2")
    .nullish(),
  top_p: numeric("a number above 0, up to 1")
    .refine((value) => value > 0 && value <= 1, "a number above 0, up to 1")
    .nullish(),
  max_new_tokens: numeric("a number").nullish(),
  stop: z.string("a string").max(64, "a string of at most 64 characters").nullish(),
  llava_resume: z
    .strictObject({ ...resumeSchema.shape, sent_frame: chunk })
    .transform(({ sent_frame: sentFrame, ...resume }): WireResume => ({ ...resume, sentFrame }))
    .optional(),
});

export function parseAddressRequest(body: unknown): { readonly model: string } {
  return parseBody(addressRequest, body);
}

/** Checks a body. As in the original, `max_new_tokens` is cut to 1024 and an empty `stop` means none. */
export function parseWireGenerateRequest(body: unknown): WireGenerateRequest {
  const wire = parseBody(generateRequest, body);
  return {
    model: wire.model ?? null,
    prompt: wire.prompt,
    images: (wire.images ?? []).map((text, index) => decodeBase64(text, `images[${index}]`)),
    temperature: wire.temperature ?? 1,
    topP: wire.top_p ?? 1,
    maxNewTokens: Math.min(Math.trunc(wire.max_new_tokens ?? 256), MAX_WIRE_NEW_TOKENS),
    stop: wire.stop === undefined || wire.stop === "" ? null : wire.stop,
    resume: wire.llava_resume ?? null,
  };
}

/** One frame: the object as JSON in ASCII only, as Python's `json.dumps` writes it, and a NUL. */
export function encodeWireChunk(text: string, errorCode: WireErrorCode): string {
  return `{"text":${asciiJson(text)},"error_code":${errorCode}}\0`;
}

/** The frame of a request that failed; the wire has one sentence for all failures, and the reason goes to the log. */
export function encodeWireFailure(errorCode: Exclude<WireErrorCode, 0>): string {
  return encodeWireChunk(SERVER_ERROR_TEXT, errorCode);
}

/** The objects of a NUL-framed byte stream in order; a frame over the limit or of another shape ends it with `worker_lost`. */
export async function* readWireChunks(
  stream: AsyncIterable<Uint8Array>,
): AsyncGenerator<WireChunk, void, undefined> {
  const splitter = new StreamFrameSplitter("wire");
  for await (const bytes of stream) {
    for (const frame of splitter.push(bytes)) {
      // LLaVA's own readers skip empty frames, and some of its senders write them.
      if (frame.length > 1) yield parseWireChunk(frame);
    }
  }
  if (splitter.rest() !== null) throw badFrame("ended in the middle of a frame");
}

/** @param frame one JSON object and its NUL */
function parseWireChunk(frame: Uint8Array): WireChunk {
  try {
    return chunk.parse(JSON.parse(new TextDecoder().decode(frame.subarray(0, -1))));
  } catch (cause) {
    throw badFrame("sent a frame that is not a JSON object with text and error_code", cause);
  }
}

function asciiJson(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function badFrame(what: string, cause?: unknown): LlavaError {
  return new LlavaError("worker_lost", `The worker ${what}; the answer is incomplete. Ask again.`, { cause });
}
