/** Fields of a chat that are no OpenAI's: how an image becomes what the model sees, an answer that goes on, another template. */
import type { ChatCompletion } from "@llava/protocol";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MODEL_NAME, startServer, type TestServer } from "./support/worker-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server[Symbol.asyncDispose]());

interface Asked {
  readonly status: number;
  readonly body: ChatCompletion & {
    readonly error?: { readonly code: string; readonly param: string | null; readonly message: string };
  };
}

async function ask(messages: readonly object[], fields: object = {}): Promise<Asked> {
  const response = await server.post("/v1/chat/completions", {
    model: MODEL_NAME,
    messages,
    temperature: 0,
    max_tokens: 12,
    ...fields,
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

async function text(messages: readonly object[], fields: object = {}): Promise<string> {
  const { status, body } = await ask(messages, fields);
  expect(status, body.error?.message).toBe(200);
  return body.choices[0]?.message.content ?? "";
}

async function tokens(messages: readonly object[], fields: object = {}): Promise<number> {
  return (await ask(messages, fields)).body.usage.prompt_tokens;
}

const USER = { role: "user", content: "What color is it?" };

describe("the mode of an image", () => {
  /** The likeliest tokens: what the model makes of what it sees. What is cached moves the last digits. */
  async function seen(png: Buffer, mode?: string): Promise<string> {
    const url = `data:image/png;base64,${png.toString("base64")}`;
    const image = { type: "image_url", image_url: { url, ...(mode === undefined ? {} : { mode }) } };
    const message = { role: "user", content: [image, { type: "text", text: "What?" }] };
    const { body } = await ask([message], { logprobs: true, top_logprobs: 5, max_tokens: 3 });
    const round = (_: string, value: unknown): unknown =>
      typeof value === "number" ? Math.round(value * 1e4) / 1e4 : value;
    return JSON.stringify(body.choices[0]?.logprobs, round);
  }
  const noise = Uint8Array.from({ length: 64 * 32 * 3 }, (_, index) => (index * 7919) % 251);
  const wide = sharp(noise, { raw: { width: 64, height: 32, channels: 3 } }).png();

  test("pad is a square of the mean colour around it", async () => {
    const padded = await sharp(await wide.toBuffer())
      .extend({ top: 16, bottom: 16, background: { r: 122, g: 116, b: 104 } })
      .png()
      .toBuffer();
    expect(await seen(await wide.toBuffer(), "pad")).toEqual(await seen(padded, "crop"));
  });

  test("crop is the middle of what is as high as the square", async () => {
    // As high as the square already: nothing is resized, and 16 columns fall away on each side.
    const middle = await sharp(await wide.toBuffer())
      .extract({ left: 16, top: 0, width: 32, height: 32 })
      .png()
      .toBuffer();
    expect(await seen(await wide.toBuffer(), "crop")).toEqual(await seen(middle));
  });

  test("resize squashes the whole", async () => {
    // All columns are alike: however many there were, the same remain.
    const rows = async (width: number): Promise<Buffer> => {
      const pixels = Uint8Array.from({ length: width * 32 * 3 }, (_, at) => 7 * Math.floor(at / (3 * width)));
      return await sharp(pixels, { raw: { width, height: 32, channels: 3 } })
        .png()
        .toBuffer();
    };
    expect(await seen(await rows(64), "resize")).toBe(await seen(await rows(32)));
    const png = await wide.toBuffer();
    const shown = [await seen(png, "resize"), await seen(png, "pad"), await seen(png, "crop")];
    expect(new Set(shown).size).toBe(3);
  });

  test("default, or none, is the model's own", async () => {
    const png = await wide.toBuffer();
    expect(await seen(png, "default")).toEqual(await seen(png));
  });

  test("another word is refused with its field", async () => {
    const image = { type: "image_url", image_url: { url: "data:image/png;base64,AA==", mode: "Pad" } };
    const { status, body } = await ask([{ role: "user", content: [image] }]);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({
      code: "invalid_request",
      param: "messages[0].content[0].image_url.mode",
    });
  });
});

describe("an answer that goes on", () => {
  test("continues as the model would have after the same text", async () => {
    const whole = await text([USER], { max_tokens: 20 });
    const begun = await text([USER], { max_tokens: 8 });
    expect(whole.startsWith(begun)).toBe(true);
    const messages = [USER, { role: "assistant", content: begun }];
    const rest = await text(messages, { max_tokens: 12, continue_final_message: true });
    expect(begun + rest).toBe(whole);
  });

  test("without an answer to go on with is refused", async () => {
    const { status, body } = await ask([USER], { continue_final_message: true });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ param: "messages", message: expect.stringMatching(/go on with/) });
  });

  test("is otherwise no question, as before", async () => {
    const { status, body } = await ask([USER, { role: "assistant", content: "Red" }]);
    expect(status).toBe(400);
    expect(body.error?.message).toMatch(/from "assistant"/);
  });
});

describe("another template", () => {
  test("is what the prompt is written in", async () => {
    const own = await tokens([USER]);
    expect(await tokens([USER], { conversation_template: "llava_v1" })).toBe(own);
    expect(await tokens([USER], { conversation_template: "plain" })).toBeLessThan(own);
  });

  test("that there is not is refused with the list of those that there are", async () => {
    const { status, body } = await ask([USER], { conversation_template: "vicuna_v9" });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({
      code: "invalid_request",
      param: "conversation_template",
      message: expect.stringMatching(/llava_v1/),
    });
  });

  test("the model's card names those that can be asked for", async () => {
    const response = await fetch(`${server.url}/v1/models/${MODEL_NAME}`);
    expect(await response.json()).toMatchObject({
      conversation: "llava_v1",
      conversation_templates: expect.arrayContaining(["llava_v1", "plain", "mpt"]),
      capabilities: { image_modes: true, continue_final_message: true, conversation_template: true },
    });
  });
});
