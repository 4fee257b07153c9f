/** What a controller gets beside an answer's text, and how another worker continues the answer with it; over real HTTP. */
import { signedHeaders } from "@llava/server";
import { RESUME_HEADER, parseResumeHead, parseResumeTokens, type ResumeHead } from "@llava/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { png } from "@llava/testing/png";
import { MODEL_NAME, startServer, type TestServer } from "./support/worker-server.ts";

const HOP = { [RESUME_HEADER]: "1" };
const TOKEN = "a-token-of-the-cluster";

let server: TestServer;
/** With a cluster token, without which a caller is refused. */
let guarded: TestServer;
beforeAll(async () => {
  server = await startServer();
  guarded = await startServer({}, { access: { keys: null, token: TOKEN, anonymous: "loopback" } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await guarded[Symbol.asyncDispose]();
});

const IMAGE_URL = `data:image/png;base64,${png(30, 40, [0, 255, 0]).toString("base64")}`;
const IMAGE = { type: "image_url", image_url: { url: IMAGE_URL } };
const TEXT = { type: "text", text: "What color is it?" };
const CHAT = {
  model: MODEL_NAME,
  messages: [{ role: "user", content: [IMAGE, TEXT] }],
  stream: true,
  stream_options: { include_usage: true },
  max_tokens: 9,
};
const COMPLETION = { model: MODEL_NAME, prompt: "Once upon a time", stream: true, max_tokens: 9 };
const CHAT_PATH = "/v1/chat/completions";
const TEXT_PATH = "/v1/completions";

interface Block {
  readonly comments: readonly string[];
  /** Parsed; null for `[DONE]`. */
  readonly chunk: Chunk | null;
}

interface Chunk {
  readonly id: string;
  readonly created: number;
  readonly choices: readonly {
    readonly delta?: { readonly role?: string; readonly content?: string };
    readonly text?: string;
    readonly logprobs?: { readonly content?: readonly { readonly token: string }[] } | null;
    readonly finish_reason: string | null;
  }[];
  readonly usage?: object | null;
}

interface Stream {
  readonly head: ResumeHead | null;
  /** [blocks with text]: their tokens and text. */
  readonly deltas: readonly { readonly tokens: readonly number[]; readonly text: string }[];
  readonly chunks: readonly Chunk[];
  readonly raw: string;
}

async function streamOf(path: string, body: object, headers: Record<string, string> = HOP): Promise<Stream> {
  const response = await server.post(path, body, {
    headers: { "content-type": "application/json", ...headers },
  });
  const raw = await response.text();
  expect(response.status, raw).toBe(200);
  expect(raw).toMatch(/data: \[DONE\]\n\n$/);
  const blocks = raw.split("\n\n").slice(0, -1).map(parseBlock);
  const deltas = blocks.flatMap(({ comments, chunk }) => {
    const text = chunk?.choices[0]?.delta?.content ?? chunk?.choices[0]?.text ?? "";
    const tokens = comments.map(parseResumeTokens).find((ids) => ids !== null) ?? [];
    return text === "" && tokens.length === 0 ? [] : [{ tokens, text }];
  });
  const head = parseResumeHead(blocks[0]?.comments[0] ?? "");
  return { head, deltas, chunks: blocks.flatMap(({ chunk }) => chunk ?? []), raw };
}

function parseBlock(block: string): Block {
  const lines = block.split("\n");
  const data = lines.at(-1)?.slice("data: ".length) ?? "";
  return { comments: lines.slice(0, -1), chunk: data === "[DONE]" ? null : JSON.parse(data) };
}

const textOf = (deltas: Stream["deltas"]): string => deltas.map(({ text }) => text).join("");
const finishOf = ({ chunks }: Stream): unknown =>
  chunks.find(({ choices }) => choices[0]?.finish_reason)?.choices;
/** Without what the worker happened to remember. */
const usageOf = ({ chunks }: Stream): unknown => ({ ...chunks.at(-1)?.usage, prompt_tokens_details: null });

describe("a stream for a controller", () => {
  test("begins with what a continuation must repeat and tells the tokens of every text", async () => {
    const { head, deltas, chunks, raw } = await streamOf(CHAT_PATH, { ...CHAT, temperature: 0, seed: 5 });
    expect(head).toEqual({ id: chunks[0]?.id, created: chunks[0]?.created, seed: 5 });
    expect(raw.split("\n\n")[0]).toMatch(/^: llava \{.*\}\ndata: \{.*"role":"assistant"/);
    expect(deltas).toHaveLength(9);
    for (const { tokens, text } of deltas) expect([tokens.length, text.length]).toEqual([1, 1]);
    // Lines of ours stand in blocks with text only.
    expect(raw.match(/^: /gm)).toHaveLength(1 + 9);
  });

  test("has a seed when the client named none, and with it the answer can be had again", async () => {
    const sampled = { ...CHAT, temperature: 2 };
    const first = await streamOf(CHAT_PATH, sampled);
    const again = await streamOf(CHAT_PATH, { ...sampled, seed: first.head?.seed });
    expect(textOf(again.deltas)).toBe(textOf(first.deltas));
    expect((await streamOf(CHAT_PATH, sampled)).head?.seed).not.toBe(first.head?.seed);
  });

  test("is for controllers only: other clients get no comment", async () => {
    const { raw } = await streamOf(CHAT_PATH, CHAT, {});
    expect(raw).not.toMatch(/^:/m);
  });
});

describe.each([
  ["a conversation", CHAT_PATH, { ...CHAT, temperature: 0 }],
  ["a sampled conversation", CHAT_PATH, { ...CHAT, temperature: 2, seed: 3 }],
  ["a conversation whose seed the worker drew", CHAT_PATH, { ...CHAT, temperature: 2 }],
  ["a text", TEXT_PATH, { ...COMPLETION, temperature: 1, seed: 4 }],
  [
    "a conversation with penalties, bias and a least length",
    CHAT_PATH,
    {
      ...CHAT,
      temperature: 1,
      seed: 6,
      frequency_penalty: 1.5,
      presence_penalty: -0.5,
      repetition_penalty: 1.7,
      logit_bias: { "80": 5 },
      min_tokens: 4,
    },
  ],
])("%s that breaks off", (_name, path, body) => {
  test("is continued after any of its tokens as if it had not", async () => {
    const whole = await streamOf(path, body);
    for (let cut = 0; cut <= whole.deltas.length; cut++) {
      const sent = whole.deltas.slice(0, cut);
      const llava_resume = { ...whole.head, tokens: sent.flatMap(({ tokens }) => tokens) };
      const rest = await streamOf(path, { ...body, llava_resume });
      expect(textOf(sent) + textOf(rest.deltas)).toBe(textOf(whole.deltas));
      expect(rest.chunks.some(({ choices }) => choices[0]?.delta?.role !== undefined)).toBe(false);
      for (const { id, created } of rest.chunks)
        expect([id, created]).toEqual([whole.head?.id, whole.head?.created]);
      expect(finishOf(rest)).toEqual(finishOf(whole));
      expect(usageOf(rest)).toEqual(usageOf(whole));
    }
  });

  test("in the middle of a stop string ends before it all the same", async () => {
    const said = textOf((await streamOf(path, { ...body, seed: 9 })).deltas);
    const stop = [said.slice(4, 7)];
    const whole = await streamOf(path, { ...body, seed: 9, stop });
    expect(finishOf(whole)).toMatchObject([{ finish_reason: "stop" }]);
    const tokens = whole.deltas.flatMap((delta) => delta.tokens);
    const rest = await streamOf(path, { ...body, seed: 9, stop, llava_resume: { ...whole.head, tokens } });
    expect([rest.deltas, finishOf(rest)]).toEqual([[], finishOf(whole)]);
  });
});

describe("an answer in JSON that breaks off", () => {
  const schema = {
    type: "object",
    properties: { color: { enum: ["red", "green"] }, seen: { type: "boolean" } },
    required: ["color", "seen"],
  };
  const response_format = { type: "json_schema", json_schema: { schema } };
  const body = { ...CHAT, temperature: 1, seed: 8, max_tokens: 60, response_format, logprobs: true };

  test("is continued after any of its tokens, with the likelihoods that it would have had", async () => {
    const whole = await streamOf(CHAT_PATH, body);
    expect(Object.keys(JSON.parse(textOf(whole.deltas)))).toEqual(["color", "seen"]);
    const told = whole.chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? []);
    expect(told.map(({ token }) => token).join("")).toBe(textOf(whole.deltas));
    for (let cut = 0; cut <= whole.deltas.length; cut += 5) {
      const sent = whole.deltas.slice(0, cut);
      const tokens = sent.flatMap((delta) => delta.tokens);
      const rest = await streamOf(CHAT_PATH, { ...body, llava_resume: { ...whole.head, tokens } });
      expect(textOf(sent) + textOf(rest.deltas)).toBe(textOf(whole.deltas));
      expect(finishOf(rest)).toEqual(finishOf(whole));
      const rests = rest.chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? []);
      expect(rests.map(({ token }) => token)).toEqual(told.slice(tokens.length).map(({ token }) => token));
    }
  });
});

describe("what cannot be continued", () => {
  test.each([
    ["several answers", CHAT_PATH, { ...CHAT, n: 2 }],
    ["a text with logprobs, which count its characters", TEXT_PATH, { ...COMPLETION, logprobs: 1 }],
  ])("%s: the stream tells a controller nothing, and is not taken back", async (_name, path, body) => {
    const { raw } = await streamOf(path, body);
    expect(raw).not.toMatch(/^:/m);
    const llava_resume = { id: "chatcmpl-1", created: 1, seed: 1, tokens: [80] };
    const headers = { "content-type": "application/json", ...HOP };
    const response = await server.post(path, { ...body, llava_resume }, { headers });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: "llava_resume" } });
  });
});

describe("who may not continue an answer", () => {
  const llava_resume = { id: "chatcmpl-1", created: 1, seed: 1, tokens: [5] };
  const code = "invalid_request";

  test.each([
    ["a client without the controllers' header", {}, { ...CHAT, llava_resume }, /leave it out/],
    [
      "no answer that is no stream",
      HOP,
      { ...CHAT, stream: false, stream_options: null, llava_resume },
      /stream/,
    ],
    [
      "not with half of what is needed",
      HOP,
      { ...CHAT, llava_resume: { id: "x" } },
      /llava_resume\.created is missing/,
    ],
    [
      "not with tokens that are none",
      HOP,
      { ...CHAT, llava_resume: { ...llava_resume, tokens: ["a"] } },
      /tokens\[0\]/,
    ],
    [
      "not with tokens of another model",
      HOP,
      { ...CHAT, llava_resume: { ...llava_resume, tokens: [9999] } },
      /9999/,
    ],
  ])("%s", async (_name, headers, body, sentence) => {
    for (const [path, asked] of [
      [CHAT_PATH, body],
      [TEXT_PATH, { ...COMPLETION, stream: body.stream, llava_resume: body.llava_resume }],
    ] as const) {
      const response = await server.post(path, asked, {
        headers: { "content-type": "application/json", ...headers },
      });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({
        error: { code, message: expect.stringMatching(sentence) },
      });
    }
  });

  test("a caller without the cluster's signature is refused, one with it is not", async () => {
    const body = { ...CHAT, max_tokens: 2 };
    const ask = (asked: object, headers: Record<string, string>): Promise<Response> =>
      guarded.post(CHAT_PATH, asked, { headers: { "content-type": "application/json", ...HOP, ...headers } });
    expect(await (await ask(body, {})).text()).not.toMatch(/^:/m);
    const refused = await ask({ ...body, llava_resume }, {});
    expect(await refused.json()).toMatchObject({ error: { code, param: "llava_resume" } });
    const resumed = { ...body, llava_resume };
    const signed = signedHeaders(TOKEN, "POST", CHAT_PATH, Buffer.from(JSON.stringify(resumed)));
    expect((await ask(resumed, signed)).status).toBe(200);
  });
});
