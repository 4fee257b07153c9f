/** Requests that cannot be answered: each gets a sentence that says why, and the engine goes on. */
import { crc32, deflateSync } from "node:zlib";
import { Engine, type GenerateRequest } from "../src/index.ts";
import type { ErrorCode } from "@llava/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { MODEL, one, read, readError, two } from "./engine-fixtures.ts";

const TEXT: GenerateRequest = {
  prompt: "USER: Name a color. ASSISTANT:",
  images: [],
  temperature: 0,
  maxTokens: 2,
};
const SHOWN = "USER: <image>\nWhat is this? ASSISTANT:";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.load(MODEL, { threads: 1 });
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
});
/** After every refusal the next request is answered. */
afterEach(async () => {
  expect(engine.occupancy).toEqual({ running: 0, waiting: 0, slots: 8 });
  expect(await read(engine.generate(TEXT))).toMatchObject({ end: { type: "finished" } });
});

async function expectRefusal(
  change: Partial<GenerateRequest>,
  code: ErrorCode,
  ...words: string[]
): Promise<void> {
  const error = await readError(engine.generate({ ...TEXT, ...change }));
  expect(error).toMatchObject({ name: "LlavaError", code });
  for (const word of words) expect(error.message).toContain(word);
  expect(error.message).toMatch(/^[A-Zm-t].*\.$/s);
}

describe("the prompt", () => {
  it.each([
    ["is empty", ""],
    ["is blank", " \n\t "],
    ["asks nothing", [{ role: "user", text: " " }] as const],
    ["has no message", []],
  ])("%s", async (_, prompt) => {
    await expectRefusal({ prompt }, "invalid_request");
  });

  it("ends with an answer", async () => {
    const prompt = [
      { role: "user", text: "What?" },
      { role: "assistant", text: "That." },
    ] as const;
    await expectRefusal({ prompt }, "invalid_request", '"assistant"');
  });

  it("has its roles in the wrong order", async () => {
    const prompt = [
      { role: "user", text: "What?" },
      { role: "user", text: "What?" },
    ] as const;
    await expectRefusal({ prompt }, "invalid_request", "user");
  });

  it("is longer than the context, by one token", async () => {
    await expectRefusal(
      { prompt: "a".repeat(191) },
      "context_length_exceeded",
      "192 tokens",
      "context holds 192",
    );
  });

  it("is longer than the context only because of its images", async () => {
    const prompt = `${"<image>".repeat(11)}${"a".repeat(16)}`;
    const images = Array.from({ length: 11 }, () => one);
    await expectRefusal({ prompt, images }, "context_length_exceeded", "193 tokens (176 of them images)");
  });

  it("is longer than the context by its images' plans, before any image is decoded", async () => {
    const images = Array.from({ length: 11 }, () => vast(300, 200));
    const refused = { prompt: `${"<image>".repeat(11)}${"a".repeat(16)}`, images };
    await expectRefusal(refused, "context_length_exceeded", "193 tokens (176 of them images)");
    // One token less fits, and what is decoded then is found damaged.
    const decoded = { prompt: `${"<image>".repeat(11)}${"a".repeat(14)}`, images };
    await expectRefusal(decoded, "invalid_image", "damaged or cut off");
  });

  it("is so long that it is not even tokenized", async () => {
    await expectRefusal({ prompt: "a".repeat(3_000_000) }, "context_length_exceeded", "3000000 characters");
  });
});

describe("images", () => {
  it.each([
    ["a mark without an image", SHOWN, [], "1 <image> mark, but 0 images"],
    ["an image without a mark", "USER: Hello ASSISTANT:", [one], "0 <image> marks, but 1 image was"],
    ["fewer images than marks", "<image> or <image>?", [one], "2 <image> marks, but 1 image was"],
  ])("and marks: %s", async (_, prompt, images, words) => {
    await expectRefusal({ prompt, images }, "image_count_mismatch", words);
  });

  it("that are no images", async () => {
    for (const bytes of [new TextEncoder().encode("<svg/>"), new Uint8Array(), new Uint8Array(1000)]) {
      await expectRefusal({ prompt: SHOWN, images: [bytes] }, "invalid_image");
    }
  });

  it("that are cut off, also as the second of two", async () => {
    const cut = two.subarray(0, two.length / 2);
    await expectRefusal(
      { prompt: "<image> or <image>?", images: [one, cut] },
      "invalid_image",
      "damaged or cut off",
    );
  });

  it("that are larger than any image need be, without decoding them", async () => {
    await expectRefusal({ prompt: SHOWN, images: [vast(65_500, 1)] }, "invalid_image", "65500 × 1");
    await expectRefusal({ prompt: SHOWN, images: [vast(20_000, 20_000)] }, "invalid_image", "20000 × 20000");
  });
});

describe("a setting out of range", () => {
  it.each<[Partial<GenerateRequest>, string]>([
    [{ temperature: Number.NaN }, "temperature is NaN"],
    [{ temperature: -0.1 }, "temperature is -0.1"],
    [{ temperature: Infinity }, "temperature is Infinity"],
    [{ topP: 1.5 }, "top_p is 1.5"],
    [{ topP: Number.NaN }, "top_p is NaN"],
    [{ topK: -1 }, "top_k is -1"],
    [{ topK: 1.5 }, "top_k is 1.5"],
    [{ seed: 0.5 }, "seed is 0.5"],
    [{ seed: 2 ** 60 }, "seed is"],
    [{ maxTokens: 0 }, "max_tokens is 0"],
    [{ maxTokens: Number.NaN }, "max_tokens is NaN"],
    [{ stop: Array.from({ length: 17 }, () => "a") }, "17 stop strings"],
    [{ stop: ["a".repeat(257)] }, "257 characters"],
  ])("%o", async (change, words) => {
    await expectRefusal(change, "invalid_request", words);
  });
});

/** A PNG of one bit a pixel whose data ends after the first rows: its header can be read, its pixels cannot. */
function vast(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 1;
  const chunks = [
    ["IHDR", header],
    ["IDAT", deflateSync(Buffer.alloc(1000))],
    ["IEND", Buffer.alloc(0)],
  ] as const;
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    ...chunks.map(([name, data]) => pngChunk(name, data)),
  ]);
}

function pngChunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}
