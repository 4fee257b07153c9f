import type { BackendCapabilities, BackendRequest } from "@llava/backend";
import { expect, test } from "vitest";
import { requireCapabilities } from "./require-capabilities.ts";

const ALL: BackendCapabilities = {
  vision: true,
  several_images: true,
  image_modes: true,
  text_completion: true,
  system_message: true,
  continue_final_message: true,
  conversation_template: true,
  seed: true,
  penalties: true,
  logprobs: true,
  several_choices: true,
  json_mode: true,
  occlusion_maps: true,
  resume: true,
};
const IMAGE = new Uint8Array(1);
const PLAIN: BackendRequest = { prompt: [{ role: "user", text: "What?" }], images: [] };

test.each<[keyof BackendCapabilities, Partial<BackendRequest>, string]>([
  ["vision", { images: [IMAGE] }, "messages"],
  ["several_images", { images: [IMAGE, IMAGE] }, "messages"],
  ["image_modes", { images: [IMAGE], shapes: ["pad"] }, "mode"],
  ["text_completion", { prompt: { text: "Once" } }, "prompt"],
  ["system_message", { prompt: [{ role: "system", text: "Be short." }] }, "messages"],
  ["continue_final_message", { isUnfinished: true }, "continue_final_message"],
  ["conversation_template", { conversation: "llava_v1" }, "conversation_template"],
  ["penalties", { repetitionPenalty: 1.2 }, "repetition_penalty"],
  ["penalties", { presencePenalty: 1 }, "presence_penalty"],
  ["penalties", { frequencyPenalty: 1 }, "frequency_penalty"],
  ["logprobs", { logprobs: 0 }, "logprobs"],
  ["several_choices", { choices: 2 }, "n"],
  ["json_mode", { grammar: { type: "json" } }, "response_format"],
  ["resume", { resume: { tokens: [] } }, "llava_resume"],
])("a backend without %s refuses %j by the name of its field", (capability, fields, param) => {
  const request = { ...PLAIN, ...fields };
  const without = { ...ALL, [capability]: false };
  expect(() => requireCapabilities(ALL, request)).not.toThrow();
  expect(() => requireCapabilities(without, PLAIN)).not.toThrow();
  expect(() => requireCapabilities(without, request)).toThrow(
    expect.objectContaining({ code: "invalid_request", param, message: expect.stringContaining(param) }),
  );
});
