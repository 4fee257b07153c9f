import { expect, test } from "vitest";
import { environmentOf } from "./programs.ts";

test("a worker gets more threads than Node would start, unless somebody has said how many", () => {
  expect(environmentOf("worker", {})).toEqual({ UV_THREADPOOL_SIZE: "8" });
  expect(environmentOf("worker", { UV_THREADPOOL_SIZE: "3" })).toEqual({});
  expect(environmentOf("controller", {})).toEqual({});
});
