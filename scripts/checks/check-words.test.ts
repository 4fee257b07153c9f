import { expect, it } from "vitest";
import { wordFaultsIn } from "./check-words.ts";

const FILE = "packages/engine/src/engine.ts";

it("finds names that were given up, in code only", () => {
  const source = `// A Chronicle in a comment is prose.\nconst a = new Chronicle();\nconst pictureKey = 1;\n`;
  expect(wordFaultsIn(FILE, source)).toEqual([
    `${FILE}:2 has "Chronicle": ClusterHistory.`,
    `${FILE}:3 has "pictureKey": image.`,
  ]);
});

it("finds phrases that comments do without, at their line", () => {
  const source = `/** A file.\n * Apart because it is. */\nconst nobody = 1;\n// Of a row.\n/** Of course it may. */\n`;
  expect(wordFaultsIn(FILE, source)).toEqual([
    `${FILE}:2 has "Apart because": say what the file does.`,
    `${FILE}:4 has "// Of": begin a field's comment with its noun.`,
  ]);
});

it("leaves the page its pictures", () => {
  expect(wordFaultsIn("apps/web/src/browser/ui/texts.ts", "const pictureTexts = 1;")).toEqual([]);
  expect(wordFaultsIn("apps/web/src/browser/state/app.ts", "const pictureTexts = 1;")).toHaveLength(1);
});
