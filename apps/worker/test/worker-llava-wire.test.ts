/** The original worker's wire over real HTTP: the vectors of its Appendix B that concern a worker, and its quirks set right. */
import { OVERFLOW_TEXT, parseWorkerStatus, SERVER_ERROR_TEXT } from "@llava/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { png } from "./support/png.ts";
import { MODEL_NAME, startServer, type TestServer } from "./support/worker-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server[Symbol.asyncDispose]());

interface Chunk {
  readonly text: string;
  readonly error_code: number;
}

async function generate(body: object): Promise<Chunk[]> {
  const response = await server.post("/worker_generate_stream", {
    model: MODEL_NAME,
    temperature: 0,
    ...body,
  });
  expect(response.status).toBe(200);
  const frames = (await response.text()).split("\0");
  expect(frames.pop()).toBe("");
  return frames.filter((frame) => frame !== "").map((frame): Chunk => JSON.parse(frame));
}

async function answerTo(body: {
  readonly prompt: string;
  readonly [field: string]: unknown;
}): Promise<string> {
  const chunks = await generate(body);
  return (chunks.at(-1)?.text ?? "").slice(body.prompt.length);
}

const RED = png(40, 30, [255, 0, 0]).toString("base64");
const BLUE = png(40, 30, [0, 0, 255]).toString("base64");
const FAILURE = [{ text: SERVER_ERROR_TEXT, error_code: 1 }];

describe("/worker_get_status", () => {
  test("has the original's three fields, and says what controllers may ask, but not which images it has seen", async () => {
    const response = await fetch(`${server.url}/worker_get_status`, { method: "POST" });
    const status: unknown = await response.json();
    expect(status).toMatchObject({
      model_names: [MODEL_NAME],
      speed: 1,
      queue_length: 0,
      incarnation: server.service.incarnation,
      state: "ready",
      load: { running: 0, waiting: 0, max_running: 5, max_waiting: 20 },
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      capabilities: expect.objectContaining({ resume: true }),
    });
    expect(status).not.toHaveProperty("image_keys");
    expect(parseWorkerStatus(status)).toEqual(status);
  });
});

describe("/worker_generate_stream", () => {
  test("frames hold the prompt first and then the cumulative text", async () => {
    const chunks = await generate({ prompt: "P", max_new_tokens: 4 });
    expect(chunks[0]).toEqual({ text: "P", error_code: 0 });
    expect(chunks.length).toBeGreaterThan(2);
    for (const [index, chunk] of chunks.entries()) {
      expect(chunk.error_code).toBe(0);
      expect(Object.keys(chunk)).toEqual(["text", "error_code"]);
      expect(chunk.text.startsWith(chunks[index - 1]?.text ?? "P")).toBe(true);
    }
    expect(chunks.at(-1)?.text).toMatch(/^P[a-z]{4}$/);
  });

  test("is ASCII on the wire whatever the prompt", async () => {
    const response = await server.post("/worker_generate_stream", { prompt: "é🐈 ", max_new_tokens: 1 });
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect(bytes.every((byte) => byte < 0x80)).toBe(true);
    expect(bytes.at(-1)).toBe(0);
    const frame = Buffer.from(bytes).toString("latin1").split("\0")[0] ?? "";
    expect(JSON.parse(frame)).toEqual({ text: "é🐈 ", error_code: 0 });
  });

  test("a prompt longer than the context is one chunk: prompt, overflow sentence, code 0", async () => {
    const prompt = "x".repeat(server.model.contextLength);
    expect(await generate({ prompt })).toEqual([{ text: prompt + OVERFLOW_TEXT, error_code: 0 }]);
    expect(await generate({ prompt: "P", max_new_tokens: 0 })).toEqual([
      { text: `P${OVERFLOW_TEXT}`, error_code: 0 },
    ]);
  });

  test("images count with the tokens that they truly take", async () => {
    const { contextLength, tokensPerImage } = server.model;
    // <s>, then a prompt that leaves room for exactly one token beside the image.
    const fits = `<image>${"x".repeat(contextLength - 2 - tokensPerImage)}`;
    expect(await answerTo({ prompt: fits, images: [RED] })).toMatch(/^[a-z]$/);
    expect(await generate({ prompt: `${fits}x`, images: [RED] })).toEqual([
      { text: `${fits}x${OVERFLOW_TEXT}`, error_code: 0 },
    ]);
  });

  test.each([
    ["a mark without an image", { prompt: "<image>\nP" }],
    ["an image without a mark", { prompt: "P", images: [RED] }],
    ["fewer images than marks", { prompt: "<image><image>", images: [RED] }],
    [
      "an image that is none",
      { prompt: "<image>", images: [Buffer.from("GIF89a nothing").toString("base64")] },
    ],
    [
      "a truncated image",
      { prompt: "<image>", images: [png(200, 200, [1, 2, 3]).subarray(0, 60).toString("base64")] },
    ],
    ["an image that is not base64", { prompt: "<image>", images: ["data:image/png;base64,AAAA"] }],
    ["no prompt", {}],
    ["a temperature that is no number", { prompt: "P", temperature: "NaN" }],
  ])("%s is one chunk with the fixed sentence and code 1", async (_name, body) => {
    expect(await generate(body)).toEqual(FAILURE);
  });

  test("raw base64 images change the answer; null and none mean a text alone", async () => {
    const ask = { prompt: "<image>\nWhat?", max_new_tokens: 24 };
    const red = await answerTo({ ...ask, images: [RED] });
    expect(await answerTo({ ...ask, images: [RED] })).toBe(red);
    expect(await answerTo({ ...ask, images: [BLUE] })).not.toBe(red);
    expect(await answerTo({ prompt: "P", images: null, max_new_tokens: 3 })).toMatch(/^[a-z]{3}$/);
  });

  test("stop stops, and its text is left out; without stop the answer runs to its limit", async () => {
    const whole = await answerTo({ prompt: "P", max_new_tokens: 40 });
    expect(whole).toHaveLength(40);
    const stop = whole.slice(10, 12);
    expect(await answerTo({ prompt: "P", max_new_tokens: 40, stop })).toBe(
      whole.slice(0, whole.indexOf(stop)),
    );
  });

  test("max_new_tokens is cut to 1024 and to what the context holds", async () => {
    const answer = await answerTo({ prompt: "P", max_new_tokens: 5000 });
    expect(answer).toHaveLength(server.model.contextLength - 2);
  });

  test("numbers may be strings, the model's name is not looked at", async () => {
    expect(await answerTo({ model: "other", prompt: "P", max_new_tokens: "2", top_p: "0.9" })).toHaveLength(
      2,
    );
  });
});
