/**
 * Makes and parses the answer of `GET /v1/models`, which workers write, the controller merges and the page reads. It has
 * OpenAI's fields (https://platform.openai.com/docs/api-reference/models/object), and beside them more about a model.
 */
import { z } from "zod";

import { parseBody } from "../codec/parse-body.ts";

/** One model. All fields behind `owned_by` are ours, and absent when its worker has LLaVA's own wire only. */
export interface ModelCard {
  /** The model's name, at most 256 characters. */
  readonly id: string;
  readonly object: "model";
  /** When its worker loaded it, in Unix seconds. */
  readonly created: number;
  readonly owned_by: string;
  /** The tokens of prompt and answer together. */
  readonly context_length?: number;
  /** The tokens that one image takes in the context. */
  readonly tokens_per_image?: number;
  /** The edge of the square that its vision tower sees, in pixels. */
  readonly image_size?: number;
  /** The way in which an image becomes that square unless the request asks for another one. */
  readonly image_aspect_ratio?: "pad" | "crop" | "resize";
  /** The key of its conversation template. */
  readonly conversation?: string;
  /** The keys of the templates that a request may name instead, at most 64. */
  readonly conversation_templates?: readonly string[];
  /** The kinds of parts that a message may have: `text`, `image`. */
  readonly input_modalities?: readonly string[];
  /** The kinds of parts that an answer may have: `text`. */
  readonly output_modalities?: readonly string[];
  readonly limits?: ModelLimits;
  readonly capabilities?: ModelCapabilities;
  /** The text of the model's README.md in markdown, at most 262,144 characters; null when its folder has none. */
  readonly card?: string | null;
}

/** The most of what one request may have, by name: `messages`, `parts`, `images`, `text_bytes`, `stop_strings`. */
export type ModelLimits = Readonly<Record<string, number>>;
/** Whether the model can do it, by name; a name that is absent is unknown. */
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

/** The card of a model. @param created Unix seconds */
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

/** Checks a list and drops unknown fields of other servers. Throws `invalid_request` for a wrong shape. */
export function parseModelList(body: unknown): ModelList {
  return parseBody(modelList, body);
}
