/**
 * `POST /v1/occlusion_maps`: how much a word of an answer owes to each part of an image. The answer is a stream of
 * server-sent events: progress, then the map, then OpenAI's `[DONE]`; or an error body in the place of the map.
 */
import { z } from "zod";

import {
  type ChatMessage,
  type ChatMessageBody,
  messagesField,
  readMessages,
  templateField,
} from "../openai/chat-messages.ts";
import { parseBody } from "../codec/parse-body.ts";

/** Most characters of an answer whose word is asked about: far longer than any model's context. */
const MAX_ANSWER_LENGTH = 128 << 10;

export interface OcclusionMapBody {
  readonly model: string;
  /** The conversation up to the question, with images in it. */
  readonly messages: readonly ChatMessageBody[];
  /** What the model said to that, and which of its UTF-16 code units are the word: from `start` to before `end`. */
  readonly answer: string;
  readonly start: number;
  readonly end: number;
  /** Which of the conversation's images, from 0; the first when absent. */
  readonly image?: number;
  /** Cells of the map, down and across; the model's default when absent. */
  readonly cells?: number;
  readonly conversation_template?: string;
}

export type OcclusionMapEvent =
  /** Runs of the model. */
  { readonly type: "progress"; readonly done: number; readonly total: number } | OcclusionMapResult;

export interface OcclusionMapResult {
  readonly type: "map";
  /**
   * Row by row: by how many nats the logarithm of the word's probability falls when the cell and its neighbours are painted
   * over; below 0 where the word gets likelier. Null where the square shows nothing of the image.
   */
  readonly values: readonly (readonly (number | null)[])[];
  /** Borders of the cells, of rows and columns alike, from 0 to 1 of the square that the model sees. */
  readonly edges: readonly number[];
  /** Of the word when nothing is painted over; nats. */
  readonly logprob: number;
  /** The part of the image that the square shows, in pixels of the upright image; beyond its edges where it was padded. */
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  /** Of the upright image, pixels. */
  readonly width: number;
  readonly height: number;
}

export interface OcclusionMapRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly answer: string;
  readonly start: number;
  readonly end: number;
  readonly image: number;
  readonly cells?: number;
  readonly conversation?: string;
}

const place = "a whole number from 0";
const occlusionMap = z.strictObject({
  model: z.string("a model's name").min(1, "a model's name").max(256, "a name of at most 256 characters"),
  messages: messagesField,
  answer: z
    .string("a text")
    .min(1, "a text of at least one character")
    .max(MAX_ANSWER_LENGTH, `a text of at most ${MAX_ANSWER_LENGTH} characters`)
    .refine((value) => value.isWellFormed(), "well-formed Unicode without half characters"),
  start: z.int(place).min(0, place),
  end: z.int(place).min(0, place),
  image: z.int(place).min(0, place).optional(),
  cells: z.int("a whole number").optional(),
  conversation_template: templateField,
});

/** Throws `invalid_request` naming the field and its value, `invalid_image` as a chat does. */
export function parseOcclusionMapRequest(body: unknown): OcclusionMapRequest {
  const { conversation_template: conversation, cells, ...wire } = parseBody(occlusionMap, body);
  return {
    ...wire,
    messages: readMessages(wire.messages),
    image: wire.image ?? 0,
    ...(cells === undefined ? {} : { cells }),
    ...(conversation === undefined ? {} : { conversation }),
  };
}
