import { expect, it } from "vitest";

import { chatUsage, completionHead } from "./completion.ts";
import {
  parseTextRequest,
  textCompletion,
  textCompletionChunk,
  textCompletionUsage,
  textLogprobs,
} from "./text-completion.ts";

it("a text request has a text, alone or as a list of one, and OpenAI's default of 16 tokens", () => {
  const expected = {
    model: "m",
    prompt: "Once",
    stream: false,
    includeUsage: false,
    stop: [],
    n: 1,
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
  [{ prompt: "a", logprobs: 6 }, "The field logprobs must be a whole number from 0 to 5; it is 6."],
  [{ prompt: "a", logprobs: true }, "The field logprobs must be a whole number from 0 to 5; it is true."],
  [{ prompt: "a", response_format: { type: "text" } }, "The field response_format is not known"],
  [{ prompt: "a", best_of: 3 }, "The field best_of is not supported here (it is 3)"],
  [{ prompt: "a", n: 9 }, "The field n must be at most 8; it is 9."],
  [{ prompt: "a", suffix: "z" }, "The field suffix is not supported here"],
  [{ prompt: "a", messages: [] }, "The field messages is not known; leave it out."],
  [{ prompt: "é".repeat(65_537) }, "The prompt has 131074 bytes; at most 131072 are allowed."],
])("a text request refuses %j with a sentence that names the field", (fields, sentence) => {
  expect(() => parseTextRequest({ model: "m", ...fields })).toThrow(
    expect.objectContaining({
      code: "invalid_request",
      param: expect.stringMatching(/^[a-z_]+$/),
      message: expect.stringContaining(sentence),
    }),
  );
});

it("text completions have one shape for chunks and the whole, with the usage in a chunk without choices", () => {
  const head = completionHead("m", 5_000, "cmpl");
  const usage = chatUsage({ promptTokens: 3, imageTokens: 0, cachedTokens: 0, completionTokens: 2 });
  const timings = { queue_ms: 0, encode_ms: 0, prefill_ms: 1, decode_ms: 1, first_token_ms: 1 };
  expect(head).toEqual({ id: expect.stringMatching(/^cmpl-[\da-f]{24}$/), created: 5, model: "m" });
  const choice = { index: 0, text: " time", logprobs: null };
  const common = { ...head, object: "text_completion" };
  expect(textCompletionChunk(head, " time")).toEqual({
    ...common,
    choices: [{ ...choice, finish_reason: null }],
  });
  expect(textCompletionUsage(head, usage)).toEqual({ ...common, choices: [], usage });
  const answers = [
    { text: " time", reason: "stop" as const, logprobs: null },
    { text: " day", reason: "length" as const, logprobs: null },
  ];
  expect(textCompletion(head, answers, usage, timings)).toEqual({
    ...common,
    choices: [
      { ...choice, finish_reason: "stop" },
      { index: 1, text: " day", logprobs: null, finish_reason: "length" },
    ],
    usage,
    timings,
  });
});

it("text completions list logprobs as the older endpoint does, with the offset of each token", () => {
  const likelihood = (token: string, logprob: number) => ({ token, logprob, bytes: [] });
  const answered = [
    { ...likelihood("on", -0.5), top_logprobs: [likelihood("on", -0.5), likelihood("in", -2)] },
    { ...likelihood("ce", -1), top_logprobs: [likelihood("ce", -1), likelihood("ce", -7)] },
  ];
  expect(textLogprobs(answered, 4)).toEqual({
    tokens: ["on", "ce"],
    token_logprobs: [-0.5, -1],
    top_logprobs: [{ on: -0.5, in: -2 }, { ce: -1 }],
    text_offset: [4, 6],
  });
});
