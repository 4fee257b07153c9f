import { expect, test } from "vitest";
import { modelNameFromPath } from "./model-name.ts";

test.each([
  ["/a/b/checkpoint-500/", "b_checkpoint-500"],
  ["liuhaotian/llava-v1.5-7b", "llava-v1.5-7b"],
  ["C:\\models\\llava-v1.5-7b\\", "llava-v1.5-7b"],
  ["C:\\runs\\llava-lora\\checkpoint-20", "llava-lora_checkpoint-20"],
  ["checkpoint-3", "checkpoint-3"],
  ["/", ""],
])("%s → %s", (path, name) => {
  expect(modelNameFromPath(path)).toBe(name);
});
