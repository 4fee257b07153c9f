/** A request as the engine's loop takes it: token ids, pixels, limits checked with the true number of image tokens. */
import { hash } from "node:crypto";
import {
  type ConversationTemplate,
  findConversation,
  IMAGE_TOKEN,
  markedPieces,
  type DecodePool,
  type PixelDescription,
  type PromptPiece,
  promptText,
  renderPrompt,
  renderUnfinished,
  stopString,
} from "@llava/processing";
import { type ModelFolder } from "@llava/models";
import { LlavaError } from "@llava/protocol";
import { type AnswerStart, Detokenizer } from "../sampling/detokenizer.ts";
import type { GrammarMatcher, Grammars } from "../grammar/grammar.ts";
import type { GenerateRequest, Message, ImageShapes } from "../api/request.ts";
import { choiceSettings, endTokens, requireRange, requireToken } from "./sampling-params.ts";
import { type Prompt, type PromptImage, Sequence } from "../scheduler/sequence.ts";

export interface Admission {
  /** Milliseconds of the process clock. */
  readonly arrivedAt: number;
  readonly signal: AbortSignal;
  /** Where images are decoded. */
  readonly decodePool: DecodePool;
  /** Of `longestPrompt`. */
  readonly maxCharacters: number;
  /** Where the shapes of answers are followed. */
  readonly grammars: Grammars;
}

/** Most stop strings of a request, and characters of one: each is looked for after every token. */
const MAX_STOPS = 16;
const MAX_STOP_LENGTH = 256;

/** Throws LlavaErrors: `invalid_request`, `image_count_mismatch`, `context_length_exceeded`, `invalid_image`, `cancelled`. */
export async function prepare(
  model: ModelFolder,
  request: GenerateRequest,
  admission: Admission,
): Promise<Sequence> {
  const { description, tokenizer } = model;
  const sampling = choiceSettings(request, description.text);
  const template = templateOf(description, request.conversation);
  const pieces = promptPieces(template, request);
  requireShort(promptText(pieces), admission.maxCharacters, description.text.contextLength);
  const compact = tokenizer.encodePrompt(pieces);
  if (compact.length === 0) throw emptyPrompt("The prompt");
  requireImages(compact, request.images.length);
  const maxTokens = answerLimit(model, compact, request.maxTokens);
  const resumed = resumedTokens(model, request);
  const decodeStartedAt = performance.now();
  const pixels = await decodeAll(model, request, admission);
  const imagesMs = performance.now() - decodeStartedAt;
  const grammar = await openGrammar(request, admission);
  const sequence = new Sequence({
    prompt: expand(model, compact, pixels),
    sampling,
    maxTokens,
    endTokens: endTokens(request, description.text),
    detokenizer: new Detokenizer(tokenizer, stopsOf(request, template), answerStart(request)),
    arrivedAt: admission.arrivedAt,
    ...(request.priority === undefined ? {} : { priority: request.priority }),
    ...(pixels.length === 0 ? {} : { imagesMs }),
    ...(grammar === undefined ? {} : { grammar }),
    ...(request.onPrefill === undefined ? {} : { onPrefill: request.onPrefill }),
    signal: admission.signal,
  });
  sequence.resume(resumed, performance.now());
  return sequence;
}

/** @throws LlavaError `invalid_request` */
export function templateOf(
  { conversation }: ModelFolder["description"],
  asked: string | undefined,
): ConversationTemplate {
  return asked === undefined
    ? findConversation(conversation)
    : findConversation(asked, "conversation_template");
}

function promptPieces(
  template: ConversationTemplate,
  { prompt, isUnfinished }: GenerateRequest,
): readonly PromptPiece[] {
  if (typeof prompt === "string") {
    requireWords(prompt, "The prompt");
    return markedPieces(prompt);
  }
  if ("text" in prompt) {
    requireWords(prompt.text, "The prompt");
    return [{ type: "text", text: prompt.text }];
  }
  if (isUnfinished === true) return renderUnfinished(template, prompt);
  const last = prompt.at(-1);
  if (last?.role === "user") requireWords(shownText(last), "The last message");
  if (last && last.role !== "user") {
    throw new LlavaError(
      "invalid_request",
      `The last message of the conversation is from "${last.role}"; the model answers a user's. Add the question.`,
    );
  }
  return renderPrompt(template, prompt);
}

function shownText({ text }: Message): string {
  return typeof text === "string" ? text : promptText(text);
}

/** Every request's signal aborts when it ends, however it ends; the matcher goes with it. */
async function openGrammar(
  { grammar, ignoreEos }: GenerateRequest,
  { grammars, signal }: Admission,
): Promise<GrammarMatcher | undefined> {
  if (grammar === undefined) return undefined;
  if (ignoreEos === true) {
    throw new LlavaError(
      "invalid_request",
      "An answer in JSON ends with its last bracket; leave out ignore_eos or response_format.",
      { param: "ignore_eos" },
    );
  }
  const matcher = await grammars.open(grammar);
  if (signal.aborted) matcher[Symbol.dispose]();
  signal.throwIfAborted();
  signal.addEventListener("abort", () => matcher[Symbol.dispose](), { once: true });
  return matcher;
}

/** A message begins with its first word; a continuation with the very next character. */
function answerStart({ prompt, isUnfinished }: GenerateRequest): AnswerStart {
  if (typeof prompt === "string") return "text";
  return "text" in prompt || isUnfinished === true ? "continuation" : "message";
}

function requireWords(text: string, what: string): void {
  if (text.trim() === "") throw emptyPrompt(what);
}

function emptyPrompt(what: string): LlavaError {
  return new LlavaError("invalid_request", `${what} is empty; write at least one word.`);
}

/** Characters that the model's context holds when every token is its tokenizer's longest: no more can ever fit. */
export function longestPrompt({ description, tokenizer }: ModelFolder): number {
  let longest = 1;
  for (let id = 0; id < tokenizer.vocabularySize; id++)
    longest = Math.max(longest, tokenizer.tokenBytes(id).length);
  return longest * description.text.contextLength;
}

/** What cannot fit is refused before it is tokenized, which takes time and memory. */
function requireShort(text: string, maxCharacters: number, contextLength: number): void {
  if (text.length <= maxCharacters) return;
  throw new LlavaError(
    "context_length_exceeded",
    `The prompt has ${text.length} characters, but the model's context holds ${contextLength} tokens; shorten it or start a new conversation.`,
  );
}

/** The request's, and the one that ends a turn in the template where there are turns. */
function stopsOf({ stop = [], prompt }: GenerateRequest, template: ConversationTemplate): readonly string[] {
  const longest = Math.max(0, ...stop.map((text) => text.length));
  if (stop.length > MAX_STOPS || longest > MAX_STOP_LENGTH) {
    throw new LlavaError(
      "invalid_request",
      `There are ${stop.length} stop strings of up to ${longest} characters; at most ${MAX_STOPS} of ${MAX_STOP_LENGTH} are taken.`,
    );
  }
  const hasTurns = typeof prompt === "string" || !("text" in prompt);
  const ofTurn = hasTurns ? stopString(template) : null;
  return ofTurn === null ? stop : [...stop, ofTurn];
}

/** Another model's tokens would be continued without an error, and without sense. */
function resumedTokens({ description }: ModelFolder, { resume }: GenerateRequest): readonly number[] {
  const tokens = resume?.tokens ?? [];
  for (const id of tokens) requireToken("a token of the answer so far", id, description.text);
  return tokens;
}

export function requireImages(compact: readonly number[], images: number): void {
  const places = compact.filter((id) => id === IMAGE_TOKEN).length;
  if (places === images) return;
  throw new LlavaError(
    "image_count_mismatch",
    `The prompt has ${places} <image> ${places === 1 ? "mark" : "marks"}, but ${images} ${images === 1 ? "image was" : "images were"} sent; send one image for each mark.`,
  );
}

/** Most tokens of the answer: what was asked for, as far as the context holds it. */
function answerLimit(
  { description }: ModelFolder,
  compact: readonly number[],
  asked: number | undefined,
): number {
  if (asked !== undefined)
    requireRange("max_tokens", asked, Number.isInteger(asked) && asked >= 1, "a whole number, 1 or more");
  const { contextLength } = description.text;
  const imageTokens = compact.filter((id) => id === IMAGE_TOKEN).length * description.vision.tokensPerImage;
  const textTokens = compact.filter((id) => id !== IMAGE_TOKEN).length;
  const room = contextLength - textTokens - imageTokens;
  if (room >= 1) return Math.min(asked ?? room, room);
  throw new LlavaError(
    "context_length_exceeded",
    `The prompt has ${textTokens + imageTokens} tokens (${imageTokens} of them images), but the model's context holds ${contextLength} with at least one for the answer; shorten it or start a new conversation.`,
  );
}

/** [3, size, size] of each image. */
async function decodeAll(
  { description }: ModelFolder,
  { images, shapes }: GenerateRequest,
  { decodePool, signal }: Admission,
): Promise<Float32Array[]> {
  const all: Float32Array[] = [];
  for (const [index, bytes] of images.entries())
    all.push(await decodePool.values(bytes, pixelsOf(description, shapes, index), signal));
  return all;
}

/** How one of a request's images becomes numbers. */
export function pixelsOf(
  { pixels }: ModelFolder["description"],
  shapes: ImageShapes | undefined,
  index: number,
): PixelDescription {
  return { ...pixels, shape: shapes?.[index] ?? pixels.shape };
}

/** Each image's mark becomes as many positions as the image has tokens. */
export function expand(
  { description }: ModelFolder,
  compact: readonly number[],
  pixels: readonly Float32Array[],
): Prompt {
  const { vision, imageTokenId, text } = description;
  const placeholder = imageTokenId < text.vocabSize ? imageTokenId : 0;
  const ids: number[] = [];
  const images: PromptImage[] = [];
  for (const id of compact) {
    const image = id === IMAGE_TOKEN ? pixels[images.length] : undefined;
    if (!image) {
      ids.push(id);
      continue;
    }
    const key = pixelsKey(image);
    images.push({ key, pixels: image, start: ids.length, tokens: vision.tokensPerImage });
    for (let i = 0; i < vision.tokensPerImage; i++) ids.push(placeholder);
  }
  return { ids, images };
}

/** Of an image as the vision tower sees it. */
export function pixelsKey(pixels: Float32Array): string {
  return hash("sha256", asBytes(pixels), "base64");
}

function asBytes({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
