import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { environmentOf, nodeFlagsOf } from "./app-programs.ts";

test("a worker gets more threads than Node would start, unless the environment has a number", () => {
  expect(environmentOf("worker", {})).toEqual({ UV_THREADPOOL_SIZE: "8" });
  expect(environmentOf("worker", { UV_THREADPOOL_SIZE: "3" })).toEqual({});
  expect(environmentOf("controller", {})).toEqual({});
});

test("Node accepts the controller's flags for memory", () => {
  expect([nodeFlagsOf("worker"), nodeFlagsOf("web")]).toEqual([[], []]);
  const args = [...nodeFlagsOf("controller"), "--print", "1 + 1"];
  expect(args.length).toBe(3);
  expect(execFileSync(process.execPath, args, { encoding: "utf8" }).trim()).toBe("2");
});
