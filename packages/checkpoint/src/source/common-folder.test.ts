import path from "node:path";
import { expect, test } from "vitest";
import { commonFolder } from "./common-folder.ts";

const root = path.parse(path.resolve(".")).root;
const under = (...parts: string[]): string => path.join(root, ...parts);

test.each([
  ["one folder", [under("a", "b")], under("a", "b")],
  ["the same folder twice", [under("a", "b"), under("a", "b")], under("a", "b")],
  ["neighbours", [under("a", "b"), under("a", "c", "d")], under("a")],
  ["a folder inside the other", [under("a", "b", "c"), under("a", "b")], under("a", "b")],
  ["names that begin alike", [under("a", "model"), under("a", "model-2")], under("a")],
  ["a name that begins with dots", [under("a"), under("a", "..b")], under("a")],
  ["nothing but the root", [under("a"), under("b")], root],
])("%s", (_, folders, expected) => {
  expect(commonFolder(folders)).toBe(expected);
});
