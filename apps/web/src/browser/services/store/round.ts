/** One question to two models, as it lies in the browser's database. */
import type { AnswerState, PictureRef, Settings } from "./records.ts";

/** FastChat's names. */
export type ComparisonVote = "leftvote" | "rightvote" | "tievote" | "bothbad_vote";

export interface Side {
  readonly model: string;
  readonly settings: Settings;
  readonly text: string;
  readonly state: AnswerState;
  /** Its name on the server while it is under way. */
  readonly stream: string | null;
  readonly migrations: number;
}

export interface Round {
  readonly id: string;
  readonly createdMs: number;
  /** Names and speeds are hidden until there is a vote. */
  readonly isBlind: boolean;
  readonly text: string;
  readonly pictures: readonly PictureRef[];
  readonly sides: readonly [Side, Side];
  readonly vote: ComparisonVote | null;
}

/** A line of FastChat's log of comparisons. */
export function voteLine({ createdMs, vote, sides, text, pictures }: Round): string {
  const states = sides.map((side) => ({
    model_name: side.model,
    messages: [
      ["USER", [...pictures.map(() => "<image>"), text].join("\n")],
      ["ASSISTANT", side.text],
    ],
  }));
  return JSON.stringify({
    tstamp: createdMs / 1000,
    type: vote,
    models: sides.map(({ model }) => model),
    states,
    ip: "",
  });
}
