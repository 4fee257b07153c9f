import { describe, expect, it } from "vitest";

import { CHAT_LIMITS } from "./chat-messages.ts";
import { parseChatRequest } from "./chat.ts";
import { LlavaError } from "../codec/errors.ts";

const PIXEL = "data:image/png;base64,iVBORw0KGgo=";
const question = { role: "user", content: "What color is the circle?" };
const image = { type: "image_url", image_url: { url: PIXEL } };

function refusal(body: unknown): LlavaError {
  try {
    parseChatRequest(body);
  } catch (thrown) {
    if (thrown instanceof LlavaError) return thrown;
    throw thrown;
  }
  throw new Error("the body was accepted");
}

function refused(fields: Record<string, unknown>): string {
  const error = refusal({ model: "m", messages: [question], ...fields });
  expect(error.code).toBe("invalid_request");
  return error.message;
}

describe("parseChatRequest", () => {
  it("fills in nothing but stream, usage, stop and one answer", () => {
    expect(parseChatRequest({ model: "m", messages: [question] })).toEqual({
      model: "m",
      messages: [{ role: "user", content: [{ type: "text", text: "What color is the circle?" }] }],
      stream: false,
      includeUsage: false,
      stop: [],
      n: 1,
    });
  });

  it("reads every supported field, the newer name of max_tokens first", () => {
    const request = parseChatRequest({
      model: "m",
      messages: [{ role: "developer", content: "Be brief." }, question],
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0,
      top_p: 1,
      top_k: 0,
      max_tokens: 5,
      max_completion_tokens: 7,
      stop: "###",
      seed: -1,
    });
    expect(request).toMatchObject({ stream: true, includeUsage: true, temperature: 0, topP: 1, topK: 0 });
    expect(request).toMatchObject({ maxTokens: 7, stop: ["###"], seed: -1 });
    expect(request.messages[0]?.role).toBe("system");
  });

  it("reads the sampling fields, OpenAI's and vLLM's", () => {
    const fields = {
      min_p: 0.1,
      repetition_penalty: 1.1,
      presence_penalty: -2,
      frequency_penalty: 0.5,
      logit_bias: { "7": -100, "42": 3.5 },
      min_tokens: 3,
      stop_token_ids: [2, 9],
      ignore_eos: true,
      n: 8,
      logprobs: true,
      top_logprobs: 20,
    };
    expect(parseChatRequest({ model: "m", messages: [question], ...fields })).toMatchObject({
      minP: 0.1,
      repetitionPenalty: 1.1,
      presencePenalty: -2,
      frequencyPenalty: 0.5,
      logitBias: new Map([
        [7, -100],
        [42, 3.5],
      ]),
      minTokens: 3,
      stopTokenIds: [2, 9],
      ignoreEos: true,
      n: 8,
      logprobs: 20,
    });
    expect(parseChatRequest({ model: "m", messages: [question], logprobs: true }).logprobs).toBe(0);
    const quiet = { logprobs: false, top_logprobs: 0, logit_bias: {} };
    const plain = parseChatRequest({ model: "m", messages: [question], ...quiet });
    for (const name of ["logprobs", "logitBias"]) expect(plain).not.toHaveProperty(name);
  });

  it("reads the format of the answer", () => {
    const formatOf = (format: unknown): unknown =>
      parseChatRequest({ model: "m", messages: [question], response_format: format }).format;
    const schema = { type: "object" };
    const json_schema = { name: "reply", description: null, strict: true, schema };
    expect(formatOf({ type: "text" })).toBeUndefined();
    expect(formatOf({ type: "json_object" })).toEqual({ type: "json" });
    expect(formatOf({ type: "json_schema", json_schema })).toEqual({ type: "json_schema", schema });
  });

  it("decodes images where they stand", () => {
    const content = [{ type: "text", text: "first" }, image, { type: "text", text: "last" }];
    const part = parseChatRequest({ model: "m", messages: [{ role: "user", content }] }).messages[0]?.content;
    expect(part?.[1]).toEqual({
      type: "image",
      mediaType: "image/png",
      bytes: Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    });
    expect(part?.map(({ type }) => type)).toEqual(["text", "image", "text"]);
  });

  it("takes the parts of the Responses API, detail and hints for other servers' caches, which change nothing", () => {
    const url = { url: PIXEL, detail: "low" };
    const chat = [
      { type: "text", text: "Q" },
      { type: "image_url", image_url: url, prompt_cache_breakpoint: {} },
    ];
    const responses = [
      { type: "input_text", text: "Q" },
      { type: "input_image", image_url: PIXEL, detail: "high" },
      { type: "input_image", image_url: PIXEL, detail: null },
    ];
    const [first, second] = [chat, responses].map(
      (content) =>
        parseChatRequest({ model: "m", messages: [{ role: "user", content }] }).messages[0]?.content,
    );
    expect(second).toEqual([first?.[0], first?.[1], first?.[1]]);
    expect(
      refused({ messages: [{ role: "user", content: [{ type: "input_image", file_id: "f" }] }] }),
    ).toContain("messages[0].content[0]");
  });

  it("names the field in the error, for clients that look at it", () => {
    expect(refusal({ model: "m", messages: [question], temperature: 3 }).param).toBe("temperature");
    expect(refusal({ model: "m", messages: [question], tools: [{}] }).param).toBe("tools");
    expect(refusal({ model: "m", messages: [{ ...question, name: "x" }] }).param).toBe("messages[0].name");
    expect(refusal([]).param).toBe(null);
  });

  it("takes null as absent and an assistant's message as our own answers have it", () => {
    const messages = [question, { role: "assistant", content: "Red.", refusal: null }, question];
    const request = parseChatRequest({ model: "m", messages, temperature: null, stop: null, tools: null });
    expect(request.messages).toHaveLength(3);
    expect(request).not.toHaveProperty("temperature");
  });

  it.each([
    [{ temperature: 3 }, "The field temperature must be a number from 0 to 2; it is 3."],
    [{ temperature: Number.NaN }, "The field temperature must be a number from 0 to 2; it is NaN."],
    [
      { temperature: JSON.parse("1e999") },
      "The field temperature must be a number from 0 to 2; it is Infinity.",
    ],
    [{ temperature: "hot" }, 'The field temperature must be a number from 0 to 2; it is "hot".'],
    [{ top_p: 0 }, "The field top_p must be a number above 0, up to 1; it is 0."],
    [{ top_k: -1 }, "The field top_k must be a whole number from 0; it is -1."],
    [{ top_k: 1e308 }, "The field top_k must be a whole number from 0; it is 1e+308."],
    [{ max_tokens: 0 }, "The field max_tokens must be a whole number from 1; it is 0."],
    [{ max_tokens: 1.5 }, "The field max_tokens must be a whole number from 1; it is 1.5."],
    [
      { seed: 2 ** 31 },
      "The field seed must be a whole number from -2147483648 to 2147483647; it is 2147483648.",
    ],
    [
      { stop: ["a", "b", "c", "d", "e"] },
      "The field stop must be a list of at most 4 texts; it is a list of 5.",
    ],
    [{ stop: [""] }, 'The field stop[0] must be a text of 1 to 64 characters; it is "".'],
    [{ messages: [] }, "The field messages must be a list of at least one message; it is a list of 0."],
    [{ messages: undefined }, "The field messages is missing; it must be a list of messages."],
    [{ messages: [{ role: "bird", content: "x" }] }, 'must be system, user or assistant; it is "bird".'],
    [
      { messages: [{ role: "user", content: 5 }] },
      "messages[0].content must be a text or a list of parts; it is 5.",
    ],
    [{ messages: [{ role: "user" }] }, "messages[0].content is missing"],
    [{ messages: [{ role: "user", content: [{ type: "audio" }] }] }, "messages[0].content[0]"],
    [{ messages: [{ ...question, name: "x" }] }, "The field messages[0].name is not known; leave it out."],
    [{ messages: [{ role: "user", content: "\ud800" }] }, "well-formed Unicode"],
    [{ stream: "yes" }, 'The field stream must be true or false; it is "yes".'],
    [{ colour: "red" }, "The field colour is not known; leave it out."],
    [{ n: 9 }, "The field n must be at most 8; it is 9."],
    [{ n: 0 }, "The field n must be a whole number from 1; it is 0."],
    [{ min_p: 1.5 }, "The field min_p must be a number from 0 to 1; it is 1.5."],
    [{ repetition_penalty: 0 }, "The field repetition_penalty must be a number above 0, up to 100; it is 0."],
    [{ presence_penalty: 3 }, "The field presence_penalty must be a number from -2 to 2; it is 3."],
    [{ frequency_penalty: -2.1 }, "The field frequency_penalty must be a number from -2 to 2; it is -2.1."],
    [{ logit_bias: { "5": 101 } }, "The field logit_bias.5 must be a number from -100 to 100; it is 101."],
    [{ logit_bias: { five: 1 } }, "The field logit_bias.five must be an object of at most 1024 token ids"],
    [{ logit_bias: [1] }, "The field logit_bias must be an object of at most 1024 token ids"],
    [
      { logit_bias: Object.fromEntries(Array.from({ length: 1025 }, (_, id) => [id, 1])) },
      "The field logit_bias must be an object of at most 1024 token ids",
    ],
    [{ priority: -1 }, "The field priority must be a whole number from 0, the first, to 100; it is -1."],
    [{ min_tokens: -1 }, "The field min_tokens must be a whole number from 0; it is -1."],
    [{ stop_token_ids: [-1] }, "The field stop_token_ids[0] must be a token's id; it is -1."],
    [{ ignore_eos: 1 }, "The field ignore_eos must be true or false; it is 1."],
    [{ top_logprobs: 3 }, "The field top_logprobs is 3; it needs logprobs: true."],
    [
      { logprobs: true, top_logprobs: 21 },
      "The field top_logprobs must be a whole number from 0 to 20; it is 21.",
    ],
    [{ tools: [{}] }, "The field tools is not supported here (it is a list of 1); leave it out."],
    [
      { response_format: { type: "xml" } },
      "The field response_format.type must be of type text, json_object or",
    ],
    [{ response_format: { type: "json_schema" } }, "The field response_format.json_schema is missing"],
    [
      { response_format: { type: "json_schema", json_schema: { name: "x" } } },
      "The field response_format.json_schema.schema is missing; it must be a JSON schema, an object.",
    ],
    [
      { response_format: { type: "json_schema", json_schema: { name: "a b", schema: {} } } },
      "response_format.json_schema.name must be a name of letters",
    ],
    [{ stream_options: { more: 1 } }, "The field stream_options.more is not known"],
  ])("refuses %j with a sentence", (fields, sentence) => {
    expect(refused(fields)).toContain(sentence);
  });

  it("accepts values of unsupported fields that change nothing", () => {
    const neutral = {
      n: 1,
      logprobs: false,
      tools: [],
      frequency_penalty: 0,
      user: "ann",
      response_format: { type: "text" },
    };
    expect(parseChatRequest({ model: "m", messages: [question], ...neutral }).model).toBe("m");
  });

  it.each([null, 7, "text", []])("refuses %j as a body", (body) => {
    expect(refusal(body).message).toContain("The body must be a JSON object");
  });

  it("limits messages, parts, images and text", () => {
    const many = Array.from({ length: CHAT_LIMITS.messages + 1 }, () => question);
    expect(refused({ messages: many })).toContain(
      `at most ${CHAT_LIMITS.messages} messages; it is a list of ${CHAT_LIMITS.messages + 1}`,
    );
    const part = { type: "text", text: "x" };
    const parts = Array.from({ length: CHAT_LIMITS.parts + 1 }, () => part);
    expect(refused({ messages: [{ role: "user", content: parts }] })).toContain(
      `${CHAT_LIMITS.parts + 1} parts of content`,
    );
    const images = Array.from({ length: CHAT_LIMITS.images + 1 }, () => image);
    expect(refused({ messages: [{ role: "user", content: images }] })).toContain("9 images");
    const long = "é".repeat(CHAT_LIMITS.textBytes / 2);
    expect(parseChatRequest({ model: "m", messages: [{ role: "user", content: long }] }).model).toBe("m");
    expect(refused({ messages: [{ role: "user", content: `${long}x` }] })).toContain("131073 bytes of text");
  });

  it.each([
    ["/etc/passwd", 'it starts with "/etc/passwd"'],
    [" https://example.com/cat.png", "must be an image as data:image/"],
    [`https://example.com/${"a".repeat(4096)}`, "must be an image as data:image/"],
    [`sha256:${"AB".repeat(32)}`, "must be an image as data:image/"],
    ["data:text/html;base64,AAAA", "must be an image as data:image/"],
    ["data:image/png;base64,", "is empty"],
    ["data:image/png;base64,AAA", "not a multiple of 4"],
    ["data:image/png;base64,AA A", 'has " " at position 2'],
    ["data:image/png;base64,AA\n=", 'has "\\n" at position 2'],
    ["data:image/png;base64,AAB=", "ends in stray bits"],
    ["data:image/png;base64,A===", "at position 1"],
    ["data:image/png;base64,AA=A", 'has "=" at position 2'],
    ["data:image/png;base64,AA–A", "at position 2"],
  ])("refuses the image %j", (url, sentence) => {
    const content = [{ type: "image_url", image_url: { url } }];
    const error = refusal({ model: "m", messages: [{ role: "user", content }] });
    expect(error.code).toBe("invalid_image");
    expect(error.message).toContain(sentence);
    expect(error.message).toContain("messages[0].content[0].image_url.url");
  });

  it.each([
    [`sha256:${"ab".repeat(32)}`, { type: "image_reference", key: `sha256:${"ab".repeat(32)}` }],
    ["https://example.com/cat.png", { type: "image_address", url: "https://example.com/cat.png" }],
    ["FILE:///etc/passwd", { type: "image_address", url: "FILE:///etc/passwd" }],
  ])("takes %s as a reference or an address", (url, part) => {
    const content = [{ type: "image_url", image_url: { url } }];
    const chat = parseChatRequest({ model: "m", messages: [{ role: "user", content }] });
    const field = "messages[0].content[0].image_url.url";
    expect(chat.messages[0]?.content).toEqual([{ ...part, field }]);
  });

  it("leaves out control characters, but no tab and no end of line", () => {
    const content = "a\u0000b\u001bc\u000bd\te\r\nf\u007fg";
    const chat = parseChatRequest({ model: "m", messages: [{ role: "user", content }] });
    expect(chat.messages[0]?.content).toEqual([{ type: "text", text: "abcd\te\r\nf\u007fg" }]);
  });
});
