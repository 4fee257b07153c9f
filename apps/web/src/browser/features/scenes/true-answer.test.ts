import { expect, test } from "vitest";

import type { ImageRef } from "../../services/store/records.ts";
import { trueAnswer } from "./true-answer.tsx";

const DRAWING: ImageRef = {
  key: "sha256:0",
  name: "Shapes",
  width: 384,
  height: 384,
  mode: "default",
  questions: ["What color is the circle?", "Is there a star?"],
  answers: ["The circle is red.", "No, there is no star."],
};

test("true answer: known for the questions of a drawing, when it is the only image", () => {
  expect(trueAnswer([DRAWING], "Is there a star?")).toBe("No, there is no star.");
  expect(trueAnswer([DRAWING], " What color is the circle? ")).toBe("The circle is red.");
  expect(trueAnswer([DRAWING], "Who are you?")).toBeNull();
  expect(trueAnswer([DRAWING, DRAWING], "Is there a star?")).toBeNull();
  expect(trueAnswer([{ ...DRAWING, answers: [] }], "Is there a star?")).toBeNull();
  expect(trueAnswer([], "Is there a star?")).toBeNull();
});
