import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { CONVERSATIONS, chooseConversation, findConversation, stopString } from "./conversation.ts";

/** Characters and first half of the first eight bytes of the SHA-256, from a study of the original's constants. */
test.each([
  ["v1", 154, "1fa69e23"],
  ["vicuna_v1", 154, "1fa69e23"],
  ["llava_v1", 156, "ace78a97"],
  ["llava_v0", 156, "ace78a97"],
  ["llama_2", 508, "d52c188a"],
  ["llava_llama_2", 186, "790f4cfc"],
  ["mpt", 127, "c20002e5"],
  ["v0_mmtag", 311, "563c2a62"],
  ["v1_mmtag", 311, "563c2a62"],
])("the system text of %s is the original's to the byte", (key, length, prefix) => {
  const { system } = findConversation(key);
  expect(system).toHaveLength(length);
  expect(createHash("sha256").update(system).digest("hex").slice(0, 8)).toBe(prefix);
});

describe("the template of a model's name", () => {
  test.each([
    ["llava-v1.6-34b", "chatml_direct"],
    ["llava-v1.6-mistral-7b", "mistral_instruct"],
    ["llava-v1.5-13b", "llava_v1"],
    ["llava-v1.5-7b", "llava_v1"],
    ["LLaVA-V1.5-7B", "llava_v1"],
    ["llava-llama-2-13b-chat", "llava_llama_2"],
    ["llava-pretrain-vicuna-7b-v1.3", "llava_v1"],
    ["LLaVA-Lightning-MPT-7B-preview", "mpt"],
    ["LLaVA-13b-delta-v0", "llava_v0"],
    ["my-llava-mistral-lora", "mistral_instruct"],
    ["llava-mixtral-hermes", "chatml_direct"],
    ["llava-v1-plain", "v1_mmtag"],
    ["llava-v1-plain-finetune", "llava_v1"],
    ["llava-7b-mmtag", "v0_mmtag"],
    ["vicuna-7b", "vicuna_v1"],
    ["llama-2-7b-chat", "llama_2"],
    ["Llama-2-7b-chat", "vicuna_v1"],
  ])("%s → %s", (name, expected) => {
    expect(chooseConversation(name)).toBe(expected);
    expect(CONVERSATIONS.has(expected)).toBe(true);
  });

  test.each(["llava-mistral-orca", "mpt-7b-chat"])("%s needs one that was never published", (name) => {
    expect(() => chooseConversation(name)).toThrow(expect.objectContaining({ code: "unsupported_model" }));
    expect(() => chooseConversation(name)).toThrow(/conversation_template/);
  });
});

test("an answer ends with the first separator of SINGLE and MPT, else with the second", () => {
  const stops = [...CONVERSATIONS].map(([key, template]) => [key, stopString(template)]);
  expect(Object.fromEntries(stops)).toEqual({
    v1: "</s>",
    vicuna_v1: "</s>",
    llava_v1: "</s>",
    v1_mmtag: "</s>",
    llava_v0: "###",
    v0_mmtag: "###",
    llama_2: "</s>",
    llava_llama_2: "</s>",
    mistral_instruct: "</s>",
    chatml_direct: "<|im_end|>",
    mistral_direct: "<|im_end|>",
    mpt: "<|im_end|>",
    plain: null,
    v0_plain: null,
    llava_demo: "</s>",
  });
});

test("an unknown template is refused with the list of known ones", () => {
  expect(() => findConversation("v0")).toThrow(/There is no conversation template "v0".*llava_v1/);
  expect(() => findConversation("__proto__")).toThrow(/There is no/);
});
