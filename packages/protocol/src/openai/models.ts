/**
 * The answer of `GET /v1/models`, apart because workers write it, the controller merges it and the page reads it.
 * OpenAI's fields, and beside them what a client of ours wants to know about a model.
 */
import { z } from "zod";

import { parseBody } from "../codec/parse-body.ts";

export interface ModelCard {
  readonly id: string;
  readonly object: "model";
  /** Unix seconds. */
  readonly created: number;
  readonly owned_by: string;
  /** Absent when the worker speaks only LLaVA's own wire. */
  readonly context_length?: number;
  /** Positions that one image takes in the context. */
  readonly tokens_per_image?: number;
  /** Edge of the square that its vision tower sees, pixels. */
  readonly image_size?: number;
  /** How an image becomes that square unless the request says otherwise. */
  readonly image_aspect_ratio?: "pad" | "crop" | "resize";
  /** Key of the conversation template, and of those that a request may name instead. */
  readonly conversation?: string;
  readonly conversation_templates?: readonly string[];
  /** What a message may hold: `text`, `image`. */
  readonly input_modalities?: readonly string[];
  readonly output_modalities?: readonly string[];
  /** Most of what one request may hold. */
  readonly limits?: ModelLimits;
  readonly capabilities?: ModelCapabilities;
  /** The model card's text (markdown), or null when the folder has none. */
  readonly card?: string | null;
}

/** `messages`, `parts`, `images`, `text_bytes`, `stop_strings`. */
export type ModelLimits = Readonly<Record<string, number>>;
/** By name, whether it can be had; a name that is not there says nothing. */
export type ModelCapabilities = Readonly<Record<string, boolean>>;

export interface ModelList {
  readonly object: "list";
  readonly data: readonly ModelCard[];
}

const word = z.string("a word").max(64, "at most 64 characters");
const named = <Value extends z.ZodType>(value: Value) =>
  z
    .record(word, value, "an object")
    .refine((fields) => Object.keys(fields).length <= 64, "an object of at most 64 fields");
const modelCard = z.object({
  id: z.string("a model's name").min(1, "a model's name").max(256, "a name of at most 256 characters"),
  object: z.literal("model", "model"),
  created: z.number("a time in seconds"),
  owned_by: z.string("a string"),
  context_length: z.int("a whole number").positive("a number above 0").exactOptional(),
  tokens_per_image: z.int("a whole number").min(0, "a number from 0").exactOptional(),
  image_size: z.int("a whole number").min(1, "a number from 1").exactOptional(),
  image_aspect_ratio: z.enum(["pad", "crop", "resize"], "pad, crop or resize").exactOptional(),
  conversation: z.string("a template's name").exactOptional(),
  conversation_templates: z.array(word, "a list of words").max(64, "at most 64 words").exactOptional(),
  input_modalities: z.array(word, "a list of words").max(16, "at most 16 words").exactOptional(),
  output_modalities: z.array(word, "a list of words").max(16, "at most 16 words").exactOptional(),
  limits: named(z.number("a number")).exactOptional(),
  capabilities: named(z.boolean("true or false")).exactOptional(),
  card: z
    .string("a text or null")
    .max(1 << 18, "a text of at most 262144 characters")
    .nullable()
    .exactOptional(),
});
const modelList = z.object({
  object: z.literal("list", "list"),
  data: z.array(modelCard, "a list").max(1024, "a list"),
});

/** What a worker serves; the fields without which a card says nothing are OpenAI's. */
export function createModelCard(
  id: string,
  created: number,
  facts: Omit<ModelCard, "id" | "object" | "created" | "owned_by"> = {},
): ModelCard {
  return { id, object: "model", created, owned_by: "llava", ...facts };
}

export function modelListBody(cards: readonly ModelCard[]): ModelList {
  return { object: "list", data: cards };
}

/** Unknown fields of other servers are dropped; a wrong shape is `invalid_request`. */
export function parseModelList(body: unknown): ModelList {
  return parseBody(modelList, body);
}
