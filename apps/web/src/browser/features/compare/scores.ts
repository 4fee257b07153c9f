/** Counts wins, ties and losses of each model, and writes rounds as lines of a log. */
import { wilson } from "./interval.ts";
import type { Interval } from "./interval.ts";
import type { Round } from "../../services/store/round.ts";

export interface Score {
  readonly model: string;
  readonly wins: number;
  readonly ties: number;
  readonly losses: number;
  /** Share of wins, a tie counting one half, from 0 to 1. */
  readonly share: number;
  readonly interval: Interval;
}

/** The best first. Rounds of a model against itself are left out. */
export function scoresOf(rounds: readonly Round[]): readonly Score[] {
  const counts = new Map<string, { wins: number; ties: number; losses: number }>();
  const countOf = (model: string) => {
    const count = counts.get(model) ?? { wins: 0, ties: 0, losses: 0 };
    counts.set(model, count);
    return count;
  };
  for (const { vote, sides } of rounds) {
    const [left, right] = sides;
    if (vote === null || left.model === right.model) continue;
    const [a, b] = [countOf(left.model), countOf(right.model)];
    if (vote === "leftvote") [a.wins, b.losses] = [a.wins + 1, b.losses + 1];
    else if (vote === "rightvote") [a.losses, b.wins] = [a.losses + 1, b.wins + 1];
    else [a.ties, b.ties] = [a.ties + 1, b.ties + 1];
  }
  return [...counts]
    .map(([model, { wins, ties, losses }]) => {
      const total = wins + ties + losses;
      const won = wins + ties / 2;
      return { model, wins, ties, losses, share: won / total, interval: wilson(won, total) };
    })
    .toSorted((a, b) => b.share - a.share || (a.model < b.model ? -1 : 1));
}

/** A line of a comparison log as FastChat's fastchat/serve/gradio_block_arena_named.py writes it; `tstamp` is in Unix seconds. */
export function voteLine({ createdMs, vote, sides, text, images }: Round): string {
  const states = sides.map((side) => ({
    model_name: side.model,
    messages: [
      ["USER", [...images.map(() => "<image>"), text].join("\n")],
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
