import { expect, it } from "vitest";
import { circles, layerFaults } from "./check-layers.ts";
import { importsOf, type Source } from "./source-imports.ts";

const TREE = "packages/engine/src";
const ORDER = { [TREE]: ["sampling", "kv-cache", "runner"] };

function source(file: string, ...specifiers: readonly string[]): Source {
  return { file, imports: importsOf(file, specifiers.map((name) => `import "${name}";`).join("\n")) };
}

const faults = (...sources: readonly Source[]): string[] => layerFaults(sources, ORDER);

it("lets a file import from its own folder, from those below it, and from packages", () => {
  expect(
    faults(
      source(`${TREE}/runner/run.ts`, "./plan.ts", "../kv-cache/slots.ts", "@llava/runtime", "node:fs"),
      source(`${TREE}/runner/deep/er.ts`, "../../sampling/sampler.ts", "../run.ts"),
      source(`${TREE}/index.ts`, "./runner/run.ts", "./sampling/sampler.ts"),
    ),
  ).toEqual([]);
});

it("refuses an import of a folder above, and of a file at the root", () => {
  expect(
    faults(
      source(`${TREE}/kv-cache/slots.ts`, "../sampling/a.ts", "../runner/run.ts"),
      source(`${TREE}/sampling/sampler.ts`, "../index.ts"),
    ),
  ).toEqual([
    `${TREE}/kv-cache/slots.ts:2 imports ../runner/run.ts: "kv-cache" lies below "runner" in FOLDER_ORDER.`,
    `${TREE}/sampling/sampler.ts:1 imports ../index.ts: "sampling" lies below "." in FOLDER_ORDER.`,
  ]);
});

it("wants a place in the order for every folder", () => {
  expect(faults(source(`${TREE}/new/file.ts`))).toEqual([
    `${TREE}/new has no place in FOLDER_ORDER of scripts/checks/import-table.ts.`,
  ]);
});

it("leaves tests free to import what they test", () => {
  expect(faults(source(`${TREE}/sampling/sampler.test.ts`, "../runner/run.ts"))).toEqual([]);
});

it("finds every circle of imports, also of types and of import()", () => {
  const types = { file: "packages/a/src/b.ts", imports: importsOf("b.ts", `type T = import("./c.ts").T;`) };
  expect(
    circles([
      source("packages/a/src/a.ts", "./b.ts"),
      types,
      source("packages/a/src/c.ts", "./b.ts", "./d.ts"),
      source("packages/a/src/d.ts"),
    ]),
  ).toEqual([["packages/a/src/b.ts", "packages/a/src/c.ts"]]);
});
