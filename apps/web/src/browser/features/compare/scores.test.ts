import { describe, expect, it, test } from "vitest";

import { DEFAULT_SETTINGS } from "../../services/store/answer-settings.ts";
import { wilson } from "./interval.ts";
import type { ComparisonVote, Round } from "../../services/store/round.ts";
import { scoresOf } from "./scores.ts";

// Newcombe (1998), Statistics in Medicine 17, table I, method 3.
test.each([
  [81, 263, 0.2553, 0.3662],
  [15, 148, 0.0624, 0.1605],
  [0, 20, 0, 0.1611],
  [1, 29, 0.0061, 0.1718],
])("%i of %i lies between %f and %f", (wins, total, low, high) => {
  const found = wilson(wins, total);
  expect(found.low).toBeCloseTo(low, 3);
  expect(found.high).toBeCloseTo(high, 3);
});

describe("scores", () => {
  const round = (left: string, right: string, vote: ComparisonVote | null): Round => {
    const side = (model: string) =>
      ({
        model,
        settings: DEFAULT_SETTINGS,
        text: "",
        state: { kind: "stopped" },
        stream: null,
        migrations: 0,
      }) as const;
    return {
      id: left,
      createdMs: 0,
      isBlind: true,
      text: "",
      images: [],
      sides: [side(left), side(right)],
      vote,
    };
  };

  it("count wins, ties and losses of both sides", () => {
    const rounds = [
      round("a", "b", "leftvote"),
      round("b", "a", "rightvote"),
      round("a", "b", "tievote"),
      round("a", "b", "bothbad_vote"),
      round("a", "b", null),
      round("a", "a", "leftvote"),
    ];
    expect(scoresOf(rounds)).toMatchObject([
      { model: "a", wins: 2, ties: 2, losses: 0, share: 0.75 },
      { model: "b", wins: 0, ties: 2, losses: 2, share: 0.25 },
    ]);
  });
});
