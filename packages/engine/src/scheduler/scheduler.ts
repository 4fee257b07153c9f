/** Chooses what runs next: a pure function from the running sequences to a plan, which is data. */
import { proposeTokens } from "./prompt-lookup.ts";
import type { Sequence } from "./sequence.ts";

export type Plan =
  /** Put positions `from` … `to`−1 of a sequence into the cache. */
  | { readonly kind: "prefill"; readonly sequence: Sequence; readonly from: number; readonly to: number }
  /** One more token for every sequence. */
  | { readonly kind: "decode"; readonly sequences: readonly Sequence[] }
  /** One more token for a sequence that runs alone, and as many of a draft as the model agrees with. */
  | { readonly kind: "verify"; readonly sequence: Sequence; readonly draft: readonly number[] };

export interface Turn {
  /** Most positions of one prompt chunk. */
  readonly chunkTokens: number;
  /** Most tokens of a draft; 0 for none. */
  readonly draftTokens: number;
  /** Whether the step before gave tokens, so that this one may be a prompt's. */
  readonly isPromptsTurn: boolean;
}

/**
 * The next step for the running sequences, in the order of their admission, or undefined when there is nothing to do.
 * Decoding goes first, and after every chunk of a prompt: an answer that is being read waits for one chunk at most.
 */
export function schedule(running: readonly Sequence[], turn: Turn): Plan | undefined {
  const decoding = running.filter((sequence) => sequence.isDecoding);
  const prompt = running.find((sequence) => !sequence.isDecoding);
  if (prompt && (decoding.length === 0 || turn.isPromptsTurn)) {
    const from = prompt.cachedTokens;
    return { kind: "prefill", sequence: prompt, from, to: chunkEnd(prompt, from, turn.chunkTokens) };
  }
  const [alone] = decoding;
  if (!alone) return undefined;
  if (!prompt && decoding.length === 1) {
    const draft = proposeTokens(alone.ids, Math.min(turn.draftTokens, alone.tokensLeft - 1));
    if (draft.length > 0) return { kind: "verify", sequence: alone, draft };
  }
  return { kind: "decode", sequences: decoding };
}

export function sequencesOf(plan: Plan): readonly Sequence[] {
  return plan.kind === "decode" ? plan.sequences : [plan.sequence];
}

/** A chunk ends after `chunkTokens` positions, or before a second image begins: a run reads the features of one. */
function chunkEnd({ ids, prompt }: Sequence, from: number, chunkTokens: number): number {
  const end = Math.min(ids.length, from + chunkTokens);
  const [, second] = prompt.images.filter(({ start, tokens }) => start + tokens > from && start < end);
  return second ? second.start : end;
}
