/** Who runs next: a pure function from the engine's queues to a plan, which is data. */
import type { Sequence } from "./sequence.ts";

export type Plan =
  /** Run the vision encoder on one picture of a sequence. */
  | { readonly kind: "encode"; readonly sequence: Sequence; readonly picture: number }
  /** Put positions `from` … `to`−1 of a prompt into the cache. */
  | { readonly kind: "prefill"; readonly sequence: Sequence; readonly from: number; readonly to: number }
  /** One more token for every sequence. */
  | { readonly kind: "decode"; readonly sequences: readonly Sequence[] };

export interface Budget {
  /** Most positions of one prompt chunk. */
  readonly chunkTokens: number;
}

/**
 * The next step for the running sequences, or undefined when there is nothing to do. Decoding goes first, so that a
 * new prompt never stalls an answer that is already being read by more than one chunk.
 */
export function schedule(running: readonly Sequence[], { chunkTokens }: Budget): Plan | undefined {
  const decoding = running.filter((sequence) => sequence.isPrefilled);
  if (decoding.length > 0) return { kind: "decode", sequences: decoding };
  const [sequence] = running;
  if (!sequence) return undefined;
  const picture = sequence.nextPicture;
  if (picture !== undefined) return { kind: "encode", sequence, picture };
  const from = sequence.cachedTokens;
  return { kind: "prefill", sequence, from, to: chunkEnd(sequence, from, chunkTokens) };
}

/** A chunk ends after `chunkTokens` positions, or before a second picture begins: a run reads the features of one. */
function chunkEnd({ prefix, prompt }: Sequence, from: number, chunkTokens: number): number {
  const end = Math.min(prefix.length, from + chunkTokens);
  const [, second] = prompt.pictures.filter(({ start, tokens }) => start + tokens > from && start < end);
  return second ? second.start : end;
}
