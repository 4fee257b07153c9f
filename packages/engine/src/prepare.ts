/** A request as the engine's loop takes it: token ids, pixels, limits checked with the true number of picture tokens. */
import { randomInt } from "node:crypto";
import {
  decodePicture,
  findConversation,
  IMAGE_TOKEN,
  type ModelFolder,
  PICTURE_LIMITS,
  pixelValues,
  renderPrompt,
  stopString,
} from "@llava/model";
import { LlavaError } from "@llava/protocol";
import { Detokenizer } from "./detokenizer.ts";
import type { GenerateRequest } from "./request.ts";
import type { SamplingSettings } from "./sampler.ts";
import { type Prompt, Sequence } from "./sequence.ts";

export async function prepare(model: ModelFolder, request: GenerateRequest, arrivedAt: number, signal: AbortSignal): Promise<Sequence> {
  const { description, tokenizer } = model;
  const sampling = samplingOf(request);
  const template = findConversation(description.conversation);
  const text = typeof request.prompt === "string" ? request.prompt : renderPrompt(template, request.prompt);
  const compact = tokenizer.encodePrompt(text);
  requirePictures(compact, request.images.length);
  const maxTokens = answerLimit(model, compact, request.maxTokens);
  const prompt = await expand(model, compact, request.images, signal);
  const stops = [...(request.stop ?? []), stopString(template) ?? ""];
  return new Sequence({
    prompt,
    sampling,
    maxTokens,
    endTokens: new Set(description.text.eosTokenIds),
    detokenizer: new Detokenizer(tokenizer, stops),
    arrivedAt,
    signal,
  });
}

function samplingOf({ temperature = 1, topP = 1, topK = 0, seed = randomInt(2 ** 31) }: GenerateRequest): SamplingSettings {
  requireRange("temperature", temperature, temperature >= 0 && temperature <= 100, "from 0 to 100");
  requireRange("top_p", topP, topP >= 0 && topP <= 1, "from 0 to 1");
  requireRange("top_k", topK, Number.isInteger(topK) && topK >= 0, "a whole number, 0 or more");
  requireRange("seed", seed, Number.isSafeInteger(seed), "a whole number");
  return { temperature, topP, topK, seed };
}

function requireRange(name: string, value: number, isValid: boolean, range: string): void {
  if (!isValid) throw new LlavaError("invalid_request", `${name} is ${value}, but it must be ${range}.`);
}

function requirePictures(compact: readonly number[], pictures: number): void {
  if (compact.length === 0) throw new LlavaError("invalid_request", "The prompt is empty; send at least one word.");
  const places = compact.filter((id) => id === IMAGE_TOKEN).length;
  if (places === pictures) return;
  throw new LlavaError(
    "image_count_mismatch",
    `The prompt has ${places} <image> ${places === 1 ? "mark" : "marks"}, but ${pictures} ${pictures === 1 ? "picture was" : "pictures were"} sent; send one picture for each mark.`,
  );
}

/** Most tokens of the answer: what was asked for, as far as the context holds it. */
function answerLimit({ description }: ModelFolder, compact: readonly number[], asked: number | undefined): number {
  if (asked !== undefined) requireRange("max_tokens", asked, Number.isInteger(asked) && asked >= 1, "a whole number, 1 or more");
  const { contextLength } = description.text;
  const imageTokens = compact.filter((id) => id === IMAGE_TOKEN).length * description.vision.tokensPerImage;
  const textTokens = compact.filter((id) => id !== IMAGE_TOKEN).length;
  const room = contextLength - textTokens - imageTokens;
  if (room >= 1) return Math.min(asked ?? room, room);
  throw new LlavaError(
    "context_length_exceeded",
    `The prompt has ${textTokens + imageTokens} tokens (${imageTokens} of them pictures), but the model's context holds ${contextLength} with at least one for the answer; shorten it or start a new conversation.`,
  );
}

/** Each picture's mark becomes as many positions as the picture has tokens. */
async function expand(model: ModelFolder, compact: readonly number[], images: readonly Uint8Array[], signal: AbortSignal): Promise<Prompt> {
  const { vision, pixels: geometry, imageTokenId, text } = model.description;
  const placeholder = imageTokenId < text.vocabSize ? imageTokenId : 0;
  const ids: number[] = [];
  const pictures = [];
  let next = 0;
  for (const id of compact) {
    if (id !== IMAGE_TOKEN) {
      ids.push(id);
      continue;
    }
    const bytes = images[next++];
    if (!bytes) break;
    const picture = await decodePicture(bytes, PICTURE_LIMITS, signal);
    const pixels = await pixelValues(picture, geometry, signal);
    pictures.push({ pixels, start: ids.length, tokens: vision.tokensPerImage });
    for (let i = 0; i < vision.tokensPerImage; i++) ids.push(placeholder);
  }
  return { ids, pictures };
}
