import { describe, expect, it } from "vitest";
import { importFault, type Manifest } from "./check-imports.ts";
import { importsOf } from "./source-imports.ts";

const MANIFESTS: ReadonlyMap<string, Manifest> = new Map([
  [".", { dependencies: [], devDependencies: ["vitest"] }],
  ["packages/engine", { dependencies: ["@llava/runtime", "zod"], devDependencies: [] }],
  ["packages/onnx", { dependencies: [], devDependencies: ["@llava/runtime"] }],
  ["packages/runtime", { dependencies: ["koffi"], devDependencies: [] }],
  ["apps/worker", { dependencies: ["@llava/engine"], devDependencies: [] }],
  ["apps/web", { dependencies: ["@llava/protocol", "@llava/processing"], devDependencies: [] }],
]);

const fault = (file: string, specifier: string): string | undefined =>
  importFault(file, specifier, MANIFESTS);

describe("importsOf", () => {
  it("finds every way to name a module, and nothing in strings or comments", () => {
    const source = [
      `import { type A } from "a";`,
      `import "./b.ts";`,
      `export * from "c"; export { d } from "d/e";`,
      `// import "comment";`,
      `const text = 'import "string"';`,
      `const late = await import("f");`,
      `type T = import("g").T;`,
      `const view = <div title={\`import "h"\`} />;`,
    ];
    expect(importsOf("page.tsx", source.join("\n"))).toEqual([
      { specifier: "a", line: 1 },
      { specifier: "./b.ts", line: 2 },
      { specifier: "c", line: 3 },
      { specifier: "d/e", line: 3 },
      { specifier: "f", line: 6 },
      { specifier: "g", line: 7 },
    ]);
  });

  it("refuses what it cannot parse", () => {
    expect(() => importsOf("broken.ts", `import { from "a";`)).toThrow("broken.ts cannot be parsed");
  });
});

describe("importFault", () => {
  it("lets through what the table and the manifests allow", () => {
    expect(fault("packages/engine/src/engine.ts", "@llava/runtime")).toBeUndefined();
    expect(fault("packages/engine/src/engine.ts", "zod/mini")).toBeUndefined();
    expect(fault("packages/engine/src/engine.ts", "./decoder.ts")).toBeUndefined();
    expect(fault("packages/engine/src/engine.ts", "node:fs/promises")).toBeUndefined();
    expect(fault("packages/engine/test/engine-golden.test.ts", "vitest")).toBeUndefined();
    expect(fault("packages/onnx/test/gradients.test.ts", "@llava/runtime")).toBeUndefined();
    expect(fault("apps/web/vite.config.ts", "vitest")).toBeUndefined();
    expect(fault("scripts/bench/bench.ts", "@llava/engine")).toBeUndefined();
    expect(fault("scripts/simulate.ts", "../../apps/controller/src/registry/dispatch.ts")).toBeUndefined();
  });

  it.each([
    ["packages/onnx/src/graph/graph.ts", "@llava/runtime", "packages/onnx may import none of our packages."],
    [
      "apps/web/src/server/web-app.ts",
      "@llava/processing",
      "apps/web may import protocol, server, demo/scenes, processing/view.",
    ],
    [
      "packages/engine/src/engine.ts",
      "@llava/processing",
      "packages/engine/package.json does not declare it.",
    ],
    ["packages/engine/src/engine.ts", "vitest", "packages/engine/package.json does not declare it."],
    ["packages/engine/src/engine.test.ts", "fast-check", "packages/engine/package.json does not declare it."],
    ["scripts/bench/bench.ts", "undici", "package.json does not declare it."],
    ["packages/engine/src/engine.ts", "koffi", "only packages/runtime may."],
    [
      "apps/worker/src/routes/chat-route.ts",
      "@llava/engine",
      "only apps/worker/src/backends/local-backend.ts may.",
    ],
    ["packages/engine/src/engine.test.ts", "onnxruntime-node", "only packages/runtime may."],
    [
      "packages/engine/src/engine.ts",
      "../../onnx/src/graph.ts",
      "it lies outside packages/engine; import the package.",
    ],
    [
      "apps/worker/src/worker-app.ts",
      "../../web/src/server/app.ts",
      "it lies outside apps/worker; import the package.",
    ],
    ["apps/worker/test/app.test.ts", "@llava/app-web", "apps are started, not imported."],
    ["scripts/bench/bench.ts", "../../apps/cli/src/main.ts", "scripts start apps as processes."],
    ["packages/protocol/src/codec/sse.ts", "node:fs", "it runs in a browser, where Node's modules are not."],
    ["apps/web/src/browser/ask.ts", "node:fs", "it runs in a browser, where Node's modules are not."],
    ["packages/engine/src/engine.ts", "fs", "write node:fs."],
  ])("%s may not import %s", (file, specifier, sentence) => {
    expect(fault(file, specifier)).toBe(sentence);
  });
});
