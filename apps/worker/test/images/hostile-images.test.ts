/** Images that were made to do harm, through real HTTP: each is answered with its status, and the next request is served. */
import { randomBytes } from "node:crypto";
import { crc32, deflateSync } from "node:zlib";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { png } from "@llava/testing/png";
import { MODEL_NAME, startServer, type TestServer } from "../support/worker-server.ts";

const SMALL = png(8, 8, [200, 30, 30]);

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server[Symbol.asyncDispose]());

// Whatever came before: a normal image is answered.
afterEach(async () => expect(await statusOf(SMALL)).toBe(200));

async function ask(file: Uint8Array, type = "image/png"): Promise<Response> {
  const url = `data:${type};base64,${Buffer.from(file).toString("base64")}`;
  return await server.post("/v1/chat/completions", {
    model: MODEL_NAME,
    messages: [
      {
        role: "user",
        content: [
          { type: "image_url", image_url: { url } },
          { type: "text", text: "?" },
        ],
      },
    ],
    max_tokens: 1,
  });
}

async function statusOf(file: Uint8Array, type?: string): Promise<number> {
  const response = await ask(file, type);
  await response.text();
  return response.status;
}

async function refusalOf(file: Uint8Array, type?: string): Promise<unknown> {
  const response = await ask(file, type);
  return { status: response.status, body: await response.json() };
}

function refused(sentence: RegExp): object {
  return {
    status: 400,
    body: { error: { code: "invalid_image", message: expect.stringMatching(sentence) } },
  };
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

/** A whole PNG of zeros with so many bits for each pixel of grey, small however large it claims to be. */
function emptyPng(width: number, height: number, bits: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = bits;
  const rows = Buffer.alloc(height * (1 + Math.ceil((width * bits) / 8)));
  const parts = [chunk("IHDR", header), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([SMALL.subarray(0, 8), ...parts]);
}

/** The chunk goes behind the header. */
function withChunk(type: string, data: Uint8Array): Buffer {
  return Buffer.concat([SMALL.subarray(0, 33), chunk(type, data), SMALL.subarray(33)]);
}

describe("geometry is refused before anything is decoded", () => {
  test.each([
    ["65500 × 1", emptyPng(65_500, 1, 8), /at most 16384/],
    ["1 × 65500", emptyPng(1, 65_500, 8), /at most 16384/],
    ["20000 × 20000", emptyPng(20_000, 20_000, 1), /at most 16384/],
    ["16383 × 16383 of one bit", emptyPng(16_383, 16_383, 1), /268402689 in all; at most 40000000/],
    ["16000 × 60", emptyPng(16_000, 60, 8), /at most 200 times/],
  ])("%s", async (_name, file, sentence) => {
    expect(await refusalOf(file)).toMatchObject(refused(sentence));
  });
});

describe("files that break off", () => {
  test.each(["png", "jpeg", "webp"] as const)("%s", async (format) => {
    const noise = { type: "gaussian", mean: 128, sigma: 30 } as const;
    const whole = await sharp({ create: { width: 200, height: 200, channels: 3, background: "red", noise } })
      .toFormat(format)
      .toBuffer();
    expect(await statusOf(whole, `image/${format}`)).toBe(200);
    for (const part of [0.01, 0.3, 0.7, 0.99]) {
      const cut = whole.subarray(0, Math.max(4, Math.floor(whole.length * part)));
      expect(await refusalOf(cut, `image/${format}`)).toMatchObject(
        refused(/damaged or cut off|not an image/),
      );
    }
  });
});

describe("what else may be in a file", () => {
  const comment = (packed: Uint8Array): Buffer => Buffer.concat([Buffer.from("Comment\0"), packed]);
  test.each([
    ["text of megabytes", withChunk("tEXt", comment(Buffer.alloc(6 << 20, 97)))],
    [
      "packed text of 200 MiB",
      withChunk("zTXt", comment(Buffer.concat([Buffer.of(0), deflateSync(Buffer.alloc(200 << 20))]))),
    ],
  ])("%s", async (_name, file) => {
    // The decoder may pass over it or refuse it.
    expect([200, 400]).toContain(await statusOf(file));
  });

  test("something behind the image, which is not looked at", async () => {
    const tail = Buffer.from("<html><script>alert(1)</script></html>PK\x03\x04");
    expect(await statusOf(Buffer.concat([SMALL, tail]))).toBe(200);
  });

  test("something before it, which is what the file then is", async () => {
    expect(await refusalOf(Buffer.concat([Buffer.from("<html></html>"), SMALL]))).toMatchObject(
      refused(/web page/),
    );
    expect(await refusalOf(Buffer.concat([Buffer.from("%PDF-1.7\n"), SMALL]))).toMatchObject(refused(/PDF/));
  });

  test("an SVG and a GIF, whatever they are said to be", async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>';
    for (const type of ["image/svg+xml", "image/png"])
      expect(await refusalOf(Buffer.from(svg), type)).toMatchObject(refused(/an SVG drawing/));
    const gif = Buffer.from("R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=", "base64");
    for (const type of ["image/gif", "image/png"])
      expect(await refusalOf(gif, type)).toMatchObject(refused(/a GIF/));
  });

  test("an animation, of which the first frame counts", async () => {
    const raw = { width: 8, height: 32, channels: 3, pageHeight: 8 } as const;
    const frames = Buffer.concat([0, 80, 160, 240].map((grey) => Buffer.alloc(8 * 8 * 3, grey)));
    const animated = await sharp(frames, { raw }).webp({ lossless: true }).toBuffer();
    expect((await sharp(animated, { animated: true }).metadata()).pages).toBe(4);
    expect(await statusOf(animated, "image/webp")).toBe(200);
  });

  test("an image on its side", async () => {
    const turned = await sharp(SMALL).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    expect(await statusOf(turned, "image/jpeg")).toBe(200);
  });

  test("another type than the one that is said: the file itself decides", async () => {
    expect(await statusOf(SMALL, "image/jpeg")).toBe(200);
    expect(await statusOf(await sharp(SMALL).webp().toBuffer(), "image/png")).toBe(200);
  });

  test("noise with an image's beginning", async () => {
    for (let round = 0; round < 5; round++) {
      const file = Buffer.concat([SMALL.subarray(0, 8 + round * 10), randomBytes(5_000)]);
      expect(await refusalOf(file)).toMatchObject(refused(/damaged or cut off/));
    }
  });
});

describe("how much", () => {
  test("nothing at all", async () => {
    expect(await refusalOf(Buffer.alloc(0))).toMatchObject(refused(/is empty/));
  });

  test("11 MiB", async () => {
    const padded = Buffer.concat([SMALL, Buffer.alloc(11 << 20)]);
    expect(await refusalOf(padded)).toMatchObject(refused(/at most 10485760/));
  });

  test("a body of 34 MiB", async () => {
    // The connection may be closed before all of it was taken.
    const status = await statusOf(Buffer.alloc(26 << 20)).catch(() => 413);
    expect(status).toBe(413);
  });
});
