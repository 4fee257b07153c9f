/** The sentence for files that contradict themselves: one place, so that all of them say what to do in the same words. */
import { LlavaError } from "@llava/protocol";

/** More of a file's own words than anybody reads. */
const MAX_WORDS = 350;

/**
 * `what` continues "<path>: " and names the tensor and the value that are wrong, without a full stop. It may repeat
 * words of the file, as parsers' messages do: they are cut, and stripped of what would steer a terminal.
 */
export function damaged(path: string, what: string, cause?: unknown): LlavaError {
  const words = what.slice(0, MAX_WORDS).replace(/\p{Cc}/gu, " ");
  return new LlavaError(
    "invalid_checkpoint",
    `${path}: ${words}. The file is damaged or was not written as safetensors; copy it again from where the model came from.`,
    { cause },
  );
}

/** A name from an untrusted file as it may stand in a sentence: quoted, without control characters, at most 120 long. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}…` : name);
}
