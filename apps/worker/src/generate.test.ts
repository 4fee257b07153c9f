import { parseChatRequest, parseWireGenerateRequest } from "@llava/protocol";
import { describe, expect, test } from "vitest";
import { fromChatRequest, fromWireRequest } from "./generate.ts";

const PIXEL = "data:image/png;base64,AQID";
const image = { type: "image_url", image_url: { url: PIXEL } };
const text = (words: string): object => ({ type: "text", text: words });

function promptOf(...content: unknown[]): unknown {
  return fromChatRequest(parseChatRequest({ model: "m", messages: [{ role: "user", content }] })).prompt;
}

describe("fromChatRequest", () => {
  test.each([
    ["the picture first", [image, text("Q")], "<image>\nQ"],
    ["the words first, as OpenAI's clients write it", [text("Q"), image], "<image>\nQ"],
    ["two pictures", [text("Q"), image, image], "<image>\n<image>\nQ"],
    ["words between pictures", [text("A"), image, text("B"), image], "A\n<image>\nB\n<image>"],
    ["marks that the client set itself", [text("Is <image> a cat?"), image], "Is <image> a cat?"],
    ["a picture without words", [image], "<image>"],
  ])("%s", (_name, content, expected) => {
    expect(promptOf(...content)).toEqual([{ role: "user", text: expected }]);
  });

  test("carries pictures in order and options by their engine names", () => {
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
    expect(fromChatRequest(request)).toEqual({
      prompt: [
        { role: "system", text: "S" },
        { role: "user", text: "<image>\nQ" },
      ],
      images: [new Uint8Array([1, 2, 3])],
      temperature: 0,
      topP: 0.5,
      topK: 3,
      maxTokens: 7,
      seed: 9,
      stop: ["###"],
    });
  });

  test("a last message that asks nothing is refused", () => {
    expect(() => promptOf(text("  \n"))).toThrow(/last message is empty/);
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
