/** The error for files that contradict themselves is made here, so that every sentence ends with the same advice. */
import { LlavaError } from "@llava/protocol";

/** Most characters of a file's own text in a sentence. */
const MAX_CHARACTERS = 350;

/**
 * `what` continues "<path>: " and names the tensor and the value that are wrong, without a full stop. It may repeat
 * text of the file, as parsers' messages do: it is cut, and stripped of what would steer a terminal.
 */
export function damaged(path: string, what: string, cause?: unknown): LlavaError {
  const text = what.slice(0, MAX_CHARACTERS).replace(/\p{Cc}/gu, " ");
  return new LlavaError(
    "invalid_checkpoint",
    `${path}: ${text}. The file is damaged or was not written as safetensors; copy it again from where the model came from.`,
    { cause },
  );
}

/** A name from an untrusted file as it may stand in a sentence: quoted, without control characters, at most 120 long. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}…` : name);
}
