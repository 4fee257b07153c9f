import { parseChatRequest, parseTextRequest, parseWireGenerateRequest } from "@llava/protocol";
import { describe, expect, test } from "vitest";
import { fromChatRequest, fromTextRequest, fromWireRequest } from "./to-backend-request.ts";

const PIXEL = "data:image/png;base64,AQID";
const image = { type: "image_url", image_url: { url: PIXEL } };
const text = (what: string): object => ({ type: "text", text: what });
const words = (what: string): object => ({ type: "text", text: what });

/** The last message as its parts, an image as `[image]`. */
function promptOf(...content: unknown[]): string {
  const chat = parseChatRequest({ model: "m", messages: [{ role: "user", content }] });
  const { prompt } = fromChatRequest(chat, []);
  const parts = Array.isArray(prompt) ? prompt.at(-1)?.text : undefined;
  if (!Array.isArray(parts)) throw new Error("The prompt is no conversation of parts.");
  return parts.map((part) => (part.type === "image" ? "[image]" : part.text)).join("");
}

describe("fromChatRequest", () => {
  test.each([
    ["the image first", [image, text("Q")], "[image]\nQ"],
    ["the words first, as OpenAI's clients write it", [text("Q"), image], "[image]\nQ"],
    ["two images", [text("Q"), image, image], "[image]\n[image]\nQ"],
    ["words between images", [text("A"), image, text("B"), image], "A\n[image]\nB\n[image]"],
    ["a mark that is only a word", [text("Is <image> a cat?"), image], "[image]\nIs <image> a cat?"],
    ["an image without words", [image], "[image]"],
  ])("%s", (_name, content, expected) => {
    expect(promptOf(...content)).toEqual(expected);
  });

  test("carries images in order and options by their engine names", () => {
    const request = parseChatRequest({
      model: "m",
      messages: [
        { role: "system", content: "S" },
        { role: "user", content: [image, text("Q")] },
      ],
      temperature: 0,
      top_p: 0.5,
      top_k: 3,
      max_tokens: 7,
      seed: 9,
      stop: "###",
    });
    expect(fromChatRequest(request, [new Uint8Array([1, 2, 3])])).toEqual({
      prompt: [
        { role: "system", text: [words("S")] },
        { role: "user", text: [{ type: "image" }, words("\n"), words("Q")] },
      ],
      images: [new Uint8Array([1, 2, 3])],
      shapes: [undefined],
      temperature: 0,
      topP: 0.5,
      topK: 3,
      maxTokens: 7,
      seed: 9,
      stop: ["###"],
    });
  });

  test("what is no OpenAI's goes along: an image's mode, an answer to go on with, a template", () => {
    const url = `sha256:${"0".repeat(64)}`;
    const shown = [undefined, "default", "pad", "crop", "resize"].map((mode) => ({
      type: "image_url",
      image_url: { url, ...(mode === undefined ? {} : { mode }) },
    }));
    const messages = [
      { role: "user", content: shown },
      { role: "assistant", content: "So far" },
    ];
    const fields = { continue_final_message: true, conversation_template: "plain" };
    const request = parseChatRequest({ model: "m", messages, ...fields });
    expect(fromChatRequest(request, [])).toMatchObject({
      shapes: [undefined, undefined, "pad", "crop", "resize"],
      isUnfinished: true,
      conversation: "plain",
    });
  });

  test("a last message that asks nothing is refused", () => {
    expect(() => promptOf(text("  \n"))).toThrow(/last message is empty/);
  });
});

test("fromTextRequest lets words go on as they stand, for OpenAI's default of 16 tokens", () => {
  expect(fromTextRequest(parseTextRequest({ model: "m", prompt: ["Once </s>"], temperature: 0 }))).toEqual({
    prompt: { text: "Once </s>" },
    images: [],
    temperature: 0,
    maxTokens: 16,
    stop: [],
  });
});

function temperatureOf(temperature: unknown): unknown {
  return fromWireRequest(parseWireGenerateRequest({ prompt: "P", temperature })).temperature;
}

describe("fromWireRequest", () => {
  test("a temperature of 0.001 is greedy, 0.0011 samples", () => {
    expect(temperatureOf(0.001)).toBe(0);
    expect(temperatureOf("0.001")).toBe(0);
    expect(temperatureOf(0.0011)).toBe(0.0011);
  });

  test("the original's defaults, and stop as an option", () => {
    expect(fromWireRequest(parseWireGenerateRequest({ prompt: "P" }))).toEqual({
      prompt: "P",
      images: [],
      temperature: 1,
      topP: 1,
      maxTokens: 256,
      stop: [],
    });
    const wire = parseWireGenerateRequest({
      prompt: "P",
      images: null,
      stop: "</s>",
      max_new_tokens: "5000",
    });
    expect(fromWireRequest(wire)).toMatchObject({ maxTokens: 1024, stop: ["</s>"] });
  });
});

test("whatever says how tokens are chosen reaches the engine", () => {
  const wire = {
    model: "m",
    temperature: 0.5,
    top_p: 0.9,
    top_k: 4,
    min_p: 0.1,
    repetition_penalty: 1.2,
    presence_penalty: 0.3,
    frequency_penalty: -0.4,
    logit_bias: { "6": 1 },
    max_tokens: 9,
    min_tokens: 2,
    stop: "x",
    stop_token_ids: [7],
    ignore_eos: true,
    seed: 3,
  };
  const sampling = {
    temperature: 0.5,
    topP: 0.9,
    topK: 4,
    minP: 0.1,
    repetitionPenalty: 1.2,
    presencePenalty: 0.3,
    frequencyPenalty: -0.4,
    logitBias: new Map([[6, 1]]),
    maxTokens: 9,
    minTokens: 2,
    stop: ["x"],
    stopTokenIds: [7],
    ignoreEos: true,
    seed: 3,
  };
  const messages = [{ role: "user", content: "Q" }];
  const response_format = { type: "json_object" };
  const chat = parseChatRequest({ ...wire, messages, response_format, logprobs: true, top_logprobs: 2 });
  const asked = fromChatRequest(chat, []);
  expect(asked).toEqual({
    ...sampling,
    prompt: asked.prompt,
    images: [],
    shapes: [],
    logprobs: 2,
    grammar: { type: "json" },
  });
  const text = fromTextRequest(parseTextRequest({ ...wire, prompt: "Q", logprobs: 3 }));
  expect(text).toEqual({ ...sampling, prompt: { text: "Q" }, images: [], logprobs: 3 });
});
