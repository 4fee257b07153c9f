/**
 * What is being done with a question before the first word of its answer, told as comments of the stream, which every reader
 * of server-sent events skips, to who asks for them with a header.
 */
import { z } from "zod";

/** Of a request, with the value `PROGRESS_VERSION`. */
export const PROGRESS_HEADER = "x-llava-progress";
export const PROGRESS_VERSION = "1";

export type AnswerProgress =
  /** `position` counts from 1. */
  | { readonly kind: "queued"; readonly position: number; readonly length: number }
  /** Tokens of the prompt, those of images included. */
  | { readonly kind: "reading"; readonly done: number; readonly total: number };

const PREFIX = "progress ";
const MAX_LENGTH = 256;
const count = z.int().min(0);
const schema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("queued"), position: count, length: count }),
  z.object({ kind: z.literal("reading"), done: count, total: count }),
]);

/** A block of its own. */
export function encodeProgress(progress: AnswerProgress): string {
  return `: ${PREFIX}${JSON.stringify(progress)}\n\n`;
}

/** Of a comment without its colon and space; null when it is another one. */
export function parseProgress(comment: string): AnswerProgress | null {
  if (!comment.startsWith(PREFIX) || comment.length > MAX_LENGTH) return null;
  try {
    return schema.safeParse(JSON.parse(comment.slice(PREFIX.length))).data ?? null;
  } catch {
    return null;
  }
}
