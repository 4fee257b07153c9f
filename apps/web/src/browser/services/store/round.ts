/** Describes a round of a comparison, which is one question to two models, as it is in the browser's database. */
import type { AnswerState, ImageRef, Settings } from "./records.ts";

/** A verdict; the names are those of FastChat's fastchat/serve/gradio_block_arena_named.py. */
export type ComparisonVote = "leftvote" | "rightvote" | "tievote" | "bothbad_vote";

export interface Side {
  readonly model: string;
  readonly settings: Settings;
  readonly text: string;
  readonly state: AnswerState;
  /** Id of the server's stream of this answer while it is generated; null before and afterwards. */
  readonly stream: string | null;
  /** Number of times that another worker had to continue the answer. */
  readonly migrations: number;
}

export interface Round {
  readonly id: string;
  readonly createdMs: number;
  /** Whether the models' names and speeds are hidden until there is a vote. */
  readonly isBlind: boolean;
  readonly text: string;
  readonly images: readonly ImageRef[];
  readonly sides: readonly [Side, Side];
  readonly vote: ComparisonVote | null;
}
