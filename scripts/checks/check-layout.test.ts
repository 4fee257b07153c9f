import { expect, it } from "vitest";
import { layoutFaults } from "./check-layout.ts";

it("refuses a file name that is used twice, entry points excepted", () => {
  expect(
    layoutFaults([
      "packages/engine/src/index.ts",
      "packages/models/src/index.ts",
      "packages/engine/src/pace.ts",
      "apps/web/src/browser/pace.ts",
    ]),
  ).toEqual([
    "pace.ts is the name of packages/engine/src/pace.ts and apps/web/src/browser/pace.ts: give each file a name of its own.",
  ]);
});

it("refuses a folder of more than 14 files, goldens excepted", () => {
  const filled = (folder: string, count: number): string[] =>
    Array.from({ length: count }, (_, i) => `${folder}/${folder.replaceAll("/", "-")}-${i}.ts`);
  expect(layoutFaults(filled("packages/engine/src", 14))).toEqual([]);
  expect(layoutFaults(filled("packages/engine/test/golden/demo", 20))).toEqual([]);
  expect(layoutFaults(filled("packages/engine/src", 15))).toEqual([
    "packages/engine/src holds 15 files; split it: at most 14.",
  ]);
});
