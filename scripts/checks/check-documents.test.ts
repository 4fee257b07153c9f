import { expect, it } from "vitest";
import { packageFaults, pathFaults, scriptFaults, treeFaults } from "./check-documents.ts";

const MAP = "docs/architecture/README.md";
const FILES = [
  "README.md",
  MAP,
  "packages/onnx/src/graph/graph.ts",
  "packages/models/package.json",
  "apps/web/src/main.ts",
];

const tree = (...lines: readonly string[]): string => ["# Title", "```", ...lines, "```", "after"].join("\n");

it("the map has every package and app, and no other", () => {
  const whole = ["packages/", "  onnx/    graphs", "  models/  names", "apps/", "  web/     the page"];
  expect(treeFaults(tree(...whole), FILES)).toEqual([]);
  expect(treeFaults(tree("packages/", "  onnx/   graphs", "  eval/   judges", "apps/"), FILES)).toEqual([
    `The tree in ${MAP} lacks packages/models.`,
    `The tree in ${MAP} has packages/eval, which is not there.`,
    `The tree in ${MAP} lacks apps/web.`,
  ]);
  expect(
    treeFaults(tree("packages/", "  onnx/", "  models/  names", "apps/", "  web/   page"), FILES),
  ).toEqual([`The tree in ${MAP} lacks packages/onnx.`]);
  expect(treeFaults("# Title", FILES)).toHaveLength(1);
});

it("named paths and linked files exist, links from the document's own folder", () => {
  const good = "`packages/onnx/src/graph/graph.ts`, `apps/web/`, [x](README.md), [y](https://x.org/z)";
  expect(pathFaults("README.md", good, FILES)).toEqual([]);
  expect(pathFaults(MAP, "[up](../../README.md) and `apps/web/src/main.ts`", FILES)).toEqual([]);
  const bad = "`packages/onnx/src/graf.ts` and ![an image](apps/web/screenshot.png)";
  expect(pathFaults("README.md", bad, FILES)).toEqual([
    "README.md names packages/onnx/src/graf.ts, which is not there.",
    "README.md names apps/web/screenshot.png, which is not there.",
  ]);
  expect(pathFaults(MAP, "[x](missing.md)", FILES)).toEqual([
    `${MAP} names docs/architecture/missing.md, which is not there.`,
  ]);
});

it("named commands are scripts", () => {
  const scripts = ["start", "test", "train:demo"];
  expect(scriptFaults("README.md", "npm ci && npm start, npm test, npm run train:demo", scripts)).toEqual([]);
  expect(scriptFaults("README.md", "npm run -s lint", scripts)).toEqual([
    'README.md runs "npm run lint", which package.json does not have.',
  ]);
});

it("every package has a short README", () => {
  const short = "# onnx\n\nBuilds graphs.\n";
  expect(
    packageFaults(
      new Map([
        ["packages/onnx/README.md", short],
        ["packages/models/README.md", "line\n".repeat(16)],
      ]),
      [...FILES, "packages/engine/package.json"],
    ),
  ).toEqual(["packages/models/README.md has 16 lines; at most 15.", "packages/engine/README.md is missing."]);
});
