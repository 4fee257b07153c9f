import { describe, expect, test } from "vitest";
import { findConversation } from "./conversation.ts";
import { type ConversationMessage, promptText, renderPrompt } from "./prompt.ts";

const turns: readonly ConversationMessage[] = [
  { role: "user", text: "<image>\nQ1" },
  { role: "assistant", text: "A1" },
  { role: "user", text: "Q2" },
];

const render = (key: string, messages = turns): string =>
  promptText(renderPrompt(findConversation(key), messages));

describe("two turns, the second open, as the original renders them", () => {
  test.each([
    ["llava_v1", "{SYS} USER: <image>\nQ1 ASSISTANT: A1</s>USER: Q2 ASSISTANT:"],
    ["vicuna_v1", "{SYS} USER: <image>\nQ1 ASSISTANT: A1</s>USER: Q2 ASSISTANT:"],
    ["llava_v0", "{SYS}###Human: <image>\nQ1###Assistant: A1###Human: Q2###Assistant:"],
    ["llava_llama_2", "[INST] <<SYS>>\n{SYS}\n<</SYS>>\n\n<image>\nQ1 [/INST] A1 </s><s>[INST] Q2 [/INST]"],
    ["mistral_instruct", "[INST] <image>\nQ1 [/INST] A1 </s>[INST] Q2 [/INST]"],
    [
      "chatml_direct",
      "<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\n<image>\nQ1<|im_end|><|im_start|>assistant\nA1<|im_end|><|im_start|>user\nQ2<|im_end|><|im_start|>assistant\n",
    ],
    [
      "v1_mmtag",
      "{SYS} USER: <Image><image></Image> ASSISTANT: Received.</s>USER: Q1 ASSISTANT: A1</s>USER: Q2 ASSISTANT:",
    ],
    ["plain", "<image>\nQ1\nA1\nQ2\n"],
    ["llava_demo", "USER: <image>\nQ1 ASSISTANT: A1</s>USER: Q2 ASSISTANT:"],
  ])("%s", (key, expected) => {
    expect(render(key)).toBe(expected.replace("{SYS}", () => findConversation(key).system));
  });

  test("the mmtag models' one-turn vector", () => {
    const { system } = findConversation("v1_mmtag");
    expect(render("v1_mmtag", [{ role: "user", text: "<image>\nQ1" }])).toBe(
      `${system} USER: <Image><image></Image> ASSISTANT: Received.</s>USER: Q1 ASSISTANT:`,
    );
  });
});

test("after a last answer nothing is open", () => {
  expect(render("llava_demo", turns.slice(0, 2))).toBe("USER: <image>\nQ1 ASSISTANT: A1</s>");
  expect(render("mistral_instruct", turns.slice(0, 2))).toBe("[INST] <image>\nQ1 [/INST] A1 </s>");
});

test("an empty text leaves its turn open, as in the original", () => {
  expect(render("llava_demo", [{ role: "user", text: "" }])).toBe("USER:ASSISTANT:");
});

describe("a system message", () => {
  const withSystem: readonly ConversationMessage[] = [{ role: "system", text: "Be brief." }, ...turns];

  test("stands in place of the template's own", () => {
    expect(render("llava_v1", withSystem)).toMatch(/^Be brief\. USER: <image>\nQ1/);
    expect(render("mistral_instruct", withSystem)).toMatch(
      /^\[INST\] <<SYS>>\nBe brief\.\n<<\/SYS>>\n\n<image>/,
    );
    expect(render("mpt", withSystem)).toMatch(/^<\|im_start\|>system\nBe brief\.<\|im_end\|>/);
  });

  test("is refused where the model never saw one", () => {
    expect(() => render("llava_demo", withSystem)).toThrow(/no place for one/);
  });
});

test.each([
  ["none", []],
  ["an assistant first", [{ role: "assistant", text: "A" }]],
  ["two questions in a row", [turns[0], turns[2]]],
  ["a late system message", [...turns.slice(0, 2), { role: "system", text: "S" }]],
] as [string, ConversationMessage[]][])("messages in a wrong order are refused: %s", (_, messages) => {
  expect(() => render("llava_v1", messages)).toThrow(expect.objectContaining({ code: "invalid_request" }));
});

test("in parts, words and images keep their order and a mark is a word", () => {
  const text = [
    { type: "text", text: "Is " },
    { type: "image" },
    { type: "text", text: " <image> or </s>?" },
  ] as const;
  expect(renderPrompt(findConversation("llava_demo"), [{ role: "user", text }])).toEqual([
    { type: "template", text: "USER: " },
    ...text,
    { type: "template", text: " " },
    { type: "template", text: "ASSISTANT:" },
  ]);
});
