import { createModelCard } from "@llava/protocol";
import { expect, test } from "vitest";

import { merged } from "./models.ts";

const DEMO = createModelCard("llava-demo", 1);
const LARGE = createModelCard("llava-v1.5-13b", 1);

test("a model whose worker left stays in its place and is not ready", () => {
  const before = merged([], [DEMO, LARGE]);
  expect(merged(before, [LARGE])).toEqual([
    { card: DEMO, isReady: false },
    { card: LARGE, isReady: true },
  ]);
});

test("it is ready again when it comes back, with its new card; new models come last", () => {
  const gone = merged(merged([], [DEMO]), []);
  const renewed = createModelCard("llava-demo", 2, { context_length: 512 });
  expect(merged(gone, [LARGE, renewed])).toEqual([
    { card: renewed, isReady: true },
    { card: LARGE, isReady: true },
  ]);
});
