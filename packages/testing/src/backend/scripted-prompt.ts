/** Reads a prompt for the scripted model: its number of tokens, and a number that stands for all that was asked and shown. */
import { createHash } from "node:crypto";
import type { GenerateRequest, Message, MessagePart } from "@llava/backend";
import { detectFormat, LlavaError } from "@llava/protocol";

const MARK = "<image>";
/** The last bytes of a whole file. */
const ENDS: Readonly<Record<string, string>> = { png: "IEND", jpeg: "\u00ff\u00d9" };

export interface ScriptedPrompt {
  /** A number of 32 bits: equal for equal prompts with equal images. */
  readonly key: number;
  readonly promptTokens: number;
  readonly imageTokens: number;
}

/** @throws LlavaErrors `image_count_mismatch`, `invalid_image`, `context_length_exceeded` */
export function readPrompt(
  { prompt, images, conversation = "", isUnfinished = false }: GenerateRequest,
  { contextLength, tokensPerImage }: { readonly contextLength: number; readonly tokensPerImage: number },
): ScriptedPrompt {
  const parts = partsOf(prompt);
  const numMarks = parts.filter(({ type }) => type === "image").length;
  if (numMarks !== images.length)
    throw new LlavaError(
      "image_count_mismatch",
      `The prompt has ${numMarks} <image> marks, but ${images.length} images were sent; send one image for each mark.`,
    );
  for (const image of images) requireWhole(image);
  const text = parts.map((part) => (part.type === "text" ? part.text : "")).join("");
  const imageTokens = numMarks * tokensPerImage;
  // One more for the token that begins every prompt.
  const promptTokens = 1 + Buffer.byteLength(text) + imageTokens;
  if (promptTokens >= contextLength)
    throw new LlavaError(
      "context_length_exceeded",
      `The prompt has ${promptTokens} tokens, but the model's context holds ${contextLength} with at least one for the answer.`,
    );
  const hash = createHash("sha256").update(JSON.stringify([parts, conversation, isUnfinished]));
  for (const image of images) hash.update(image);
  return { key: hash.digest().readUInt32LE(), promptTokens, imageTokens };
}

function partsOf(prompt: GenerateRequest["prompt"]): readonly MessagePart[] {
  if (typeof prompt === "string") return markedParts(prompt);
  if ("text" in prompt) return [{ type: "text", text: prompt.text }];
  return prompt.flatMap((message) => [
    { type: "text", text: `${message.role.toUpperCase()}: ` },
    ...messageParts(message),
    { type: "text", text: "\n" },
  ]);
}

function messageParts({ text }: Message): readonly MessagePart[] {
  return typeof text === "string" ? markedParts(text) : text;
}

function markedParts(text: string): readonly MessagePart[] {
  return text
    .split(MARK)
    .flatMap((piece, i): MessagePart[] => [
      ...(i === 0 ? [] : [{ type: "image" } as const]),
      { type: "text", text: piece },
    ]);
}

/** @throws LlavaError `invalid_image` for what is no image, or the beginning of one */
function requireWhole(image: Uint8Array): void {
  const format = detectFormat(image);
  const tail = Buffer.from(image.subarray(-16)).toString("latin1");
  if (tail.includes(ENDS[format] ?? "")) return;
  throw new LlavaError("invalid_image", `The ${format} file ends too early. Send the whole file.`);
}
