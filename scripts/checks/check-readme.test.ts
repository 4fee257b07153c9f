import { expect, it } from "vitest";
import { pathFaults, scriptFaults, treeFaults } from "./check-readme.ts";

const FILES = [
  "README.md",
  "packages/onnx/src/graph.ts",
  "packages/model/package.json",
  "apps/web/src/main.ts",
];

const tree = (...lines: readonly string[]): string => ["# Title", "```", ...lines, "```", "after"].join("\n");

it("wants every package and app in the tree, and no other", () => {
  const whole = ["packages/", "  onnx/    graphs", "  model/   names", "apps/", "  web/     the page"];
  expect(treeFaults(tree(...whole), FILES)).toEqual([]);
  expect(treeFaults(tree("packages/", "  onnx/   graphs", "  eval/   judges", "apps/"), FILES)).toEqual([
    "The tree in README.md lacks packages/model.",
    "The tree in README.md has packages/eval, which is not there.",
    "The tree in README.md lacks apps/web.",
  ]);
  expect(
    treeFaults(tree("packages/", "  onnx/", "  model/   names", "apps/", "  web/   page"), FILES),
  ).toEqual(["The tree in README.md lacks packages/onnx."]);
  expect(treeFaults("# Title", FILES)).toHaveLength(1);
});

it("wants named paths and linked files to exist", () => {
  expect(
    pathFaults("`packages/onnx/src/graph.ts`, `apps/web/`, [x](README.md), [y](https://x.org/z)", FILES),
  ).toEqual([]);
  expect(pathFaults("`packages/onnx/src/graf.ts` and ![a picture](apps/web/screenshot.png)", FILES)).toEqual([
    "README.md names packages/onnx/src/graf.ts, which is not there.",
    "README.md names apps/web/screenshot.png, which is not there.",
  ]);
});

it("wants named commands to be scripts", () => {
  const scripts = ["start", "test", "train:demo"];
  expect(scriptFaults("npm ci && npm start, npm test, npm run train:demo", scripts)).toEqual([]);
  expect(scriptFaults("npm run -s lint", scripts)).toEqual([
    'README.md runs "npm run lint", which package.json does not have.',
  ]);
});
