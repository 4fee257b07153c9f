/**
 * Parses the body of `POST /v1/occlusion_maps`, which asks how much the probability of a word in an answer depends on each
 * part of an image, and describes its answer: a stream of server-sent events with progress, then the map or an error body,
 * then OpenAI's `[DONE]`.
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

/** The longest answer in characters, far longer than any model's context. */
const MAX_ANSWER_LENGTH = 128 << 10;

export interface OcclusionMapBody {
  readonly model: string;
  /** The conversation up to the question, with images in it. */
  readonly messages: readonly ChatMessageBody[];
  /** The model's answer to the conversation, at most 131,072 characters. */
  readonly answer: string;
  /** The index in the answer of the word's first UTF-16 code unit. */
  readonly start: number;
  /** The index behind the word's last UTF-16 code unit. */
  readonly end: number;
  /** The index of one of the conversation's images, from 0; the first when absent. */
  readonly image?: number;
  /** The number of the map's cells, down and across alike; the model's default when absent. */
  readonly cells?: number;
  /** The key of a conversation template, in place of the model's own. */
  readonly conversation_template?: string;
}

export type OcclusionMapEvent =
  /** `done` of `total` runs of the model are over. */
  { readonly type: "progress"; readonly done: number; readonly total: number } | OcclusionMapResult;

export interface OcclusionMapResult {
  readonly type: "map";
  /**
   * For each cell, row by row, the fall of the word's log-probability in nats when the cell and its neighbours are masked;
   * below 0 where the word gets likelier. Null where the square shows nothing of the image.
   */
  readonly values: readonly (readonly (number | null)[])[];
  /** The borders of the cells, for rows and columns alike, from 0 to 1 of the square that the model sees. */
  readonly edges: readonly number[];
  /** The word's log-probability in nats when nothing is masked. */
  readonly logprob: number;
  /** The part of the image that the square shows, in pixels of the upright image; larger than the image where it was padded. */
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  /** The width of the upright image in pixels. */
  readonly width: number;
  /** The height of the upright image in pixels. */
  readonly height: number;
}

/** The checked body. */
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

/** Checks a body. Throws `invalid_request` naming the field and its value, and `invalid_image` as a chat does. */
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
