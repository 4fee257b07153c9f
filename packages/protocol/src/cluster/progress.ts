/**
 * Encodes and parses what is being done with a request before the first text of its answer. A client that asks for it with a
 * header gets it as comments of the stream, which every reader of server-sent events skips.
 */
import { z } from "zod";

/** The header with which a client asks for progress; its value is `PROGRESS_VERSION`. */
export const PROGRESS_HEADER = "x-llava-progress";
export const PROGRESS_VERSION = "1";

export type AnswerProgress =
  /** The request waits at `position`, counted from 1, of `length` requests. */
  | { readonly kind: "queued"; readonly position: number; readonly length: number }
  /** `done` of `total` tokens of the prompt, those of images included, are computed. */
  | { readonly kind: "reading"; readonly done: number; readonly total: number };

const PREFIX = "progress ";
/** The longest comment that is read, in characters. */
const MAX_LENGTH = 256;
const count = z.int().min(0);
const schema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("queued"), position: count, length: count }),
  z.object({ kind: z.literal("reading"), done: count, total: count }),
]);

/** The progress as a comment of a stream. */
export function encodeProgress(progress: AnswerProgress): string {
  return `: ${PREFIX}${JSON.stringify(progress)}\n\n`;
}

/** The progress in a comment without its colon and space; null when it is another one. */
export function parseProgress(comment: string): AnswerProgress | null {
  if (!comment.startsWith(PREFIX) || comment.length > MAX_LENGTH) return null;
  try {
    return schema.safeParse(JSON.parse(comment.slice(PREFIX.length))).data ?? null;
  } catch {
    return null;
  }
}
