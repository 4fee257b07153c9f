import { expect, test } from "vitest";

import { piecesOf } from "./answer-words.ts";

test.each<[string, readonly string[]]>([
  ["The circle is red.", ["The", "circle", "is", "red"]],
  ["It's 3.5 m, or 1,000 blue-green?", ["It's", "3.5", "m", "or", "1,000", "blue-green"]],
  ["**Rot** – grün…", ["Rot", "grün"]],
  ["", []],
  ["…", []],
])("%j has the words %j, and not a character is lost", (answer, words) => {
  const pieces = piecesOf(answer);
  expect(pieces.filter(({ isWord }) => isWord).map(({ text }) => text)).toEqual(words);
  expect(pieces.map(({ text }) => text).join("")).toBe(answer);
  for (const { text, start } of pieces) expect(answer.startsWith(text, start)).toBe(true);
});
