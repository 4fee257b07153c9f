import { expect, it } from "vitest";

import { chatUsage, completionHead } from "./completion.ts";
import {
  parseTextRequest,
  textCompletion,
  textCompletionChunk,
  textCompletionUsage,
} from "./text-completion.ts";

it("takes a text, alone or as a list of one, and OpenAI's default of 16 tokens", () => {
  const expected = {
    model: "m",
    prompt: "Once",
    stream: false,
    includeUsage: false,
    stop: [],
    maxTokens: 16,
  };
  expect(parseTextRequest({ model: "m", prompt: "Once" })).toEqual(expected);
  expect(parseTextRequest({ model: "m", prompt: ["Once"], max_tokens: 3, n: 1, echo: false })).toEqual({
    ...expected,
    maxTokens: 3,
  });
});

it.each([
  [{ prompt: ["a", "b"] }, "The field prompt must be one text, or a list of one; it is a list of 2."],
  [{ prompt: [1, 2] }, "The field prompt must be one text"],
  [{ prompt: "" }, "The field prompt must be a text of at least one character"],
  [{}, "The field prompt is missing"],
  [{ prompt: "a", echo: true }, "The field echo is not supported here (it is true)"],
  [{ prompt: "a", logprobs: 0 }, "The field logprobs is not supported here (it is 0)"],
  [{ prompt: "a", best_of: 3 }, "The field best_of is not supported here (it is 3)"],
  [{ prompt: "a", n: 2 }, "The field n is not supported here (it is 2)"],
  [{ prompt: "a", suffix: "z" }, "The field suffix is not supported here"],
  [{ prompt: "a", messages: [] }, "The field messages is not known; leave it out."],
  [{ prompt: "é".repeat(65_537) }, "The prompt has 131074 bytes; at most 131072 are allowed."],
])("refuses %j with a sentence that names the field", (fields, sentence) => {
  expect(() => parseTextRequest({ model: "m", ...fields })).toThrow(
    expect.objectContaining({
      code: "invalid_request",
      param: expect.stringMatching(/^[a-z_]+$/),
      message: expect.stringContaining(sentence),
    }),
  );
});

it("has one shape for chunks and for the whole, with the usage in a chunk without choices", () => {
  const head = completionHead("m", 5_000, "cmpl");
  const usage = chatUsage({ promptTokens: 3, imageTokens: 0, completionTokens: 2 });
  const timings = { queue_ms: 0, encode_ms: 0, prefill_ms: 1, decode_ms: 1, first_token_ms: 1 };
  expect(head).toEqual({ id: expect.stringMatching(/^cmpl-[\da-f]{24}$/), created: 5, model: "m" });
  const choice = { index: 0, text: " time", logprobs: null };
  const common = { ...head, object: "text_completion" };
  expect(textCompletionChunk(head, " time")).toEqual({
    ...common,
    choices: [{ ...choice, finish_reason: null }],
  });
  expect(textCompletionUsage(head, usage)).toEqual({ ...common, choices: [], usage });
  expect(textCompletion(head, " time", "stop", usage, timings)).toEqual({
    ...common,
    choices: [{ ...choice, finish_reason: "stop" }],
    usage,
    timings,
  });
});
