import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  encodeWireChunk,
  encodeWireFailure,
  parseWireGenerateRequest,
  readWireChunks,
  type WireChunk,
} from "./llava-wire.ts";

const encoder = new TextEncoder();

async function* inPieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let start = 0;
  for (let turn = 0; start < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(start, start + size);
    start += size;
  }
}

describe("NUL framing", () => {
  it("writes ASCII only, as the original's JSON", () => {
    expect(encodeWireChunk('Pé "漢" 🎈\u007f\n', 0)).toBe(
      '{"text":"P\\u00e9 \\"\\u6f22\\" \\ud83c\\udf88\\u007f\\n","error_code":0}\0',
    );
    expect(encodeWireFailure(2)).toBe(
      '{"text":"**NETWORK ERROR DUE TO HIGH TRAFFIC. PLEASE REGENERATE OR REFRESH THIS PAGE.**","error_code":2}\0',
    );
  });

  it("reads any texts back, however the bytes are cut", async () => {
    const texts = fc.array(fc.string({ unit: "binary" }), { maxLength: 5 });
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(texts, sizes, fc.boolean(), async (texts, sizes, raw) => {
        const frames = texts.map((text) =>
          raw
            ? `${JSON.stringify({ text: text.toWellFormed(), error_code: 0 })}\0`
            : encodeWireChunk(text, 0),
        );
        const read: WireChunk[] = [];
        for await (const chunk of readWireChunks(inPieces(encoder.encode(frames.join("")), sizes)))
          read.push(chunk);
        expect(read.map(({ text }) => text)).toEqual(raw ? texts.map((text) => text.toWellFormed()) : texts);
      }),
    );
  });

  it("skips empty frames, as the original does", async () => {
    const stream = inPieces(encoder.encode(`\0\0${encodeWireChunk("P", 0)}\0`), [3]);
    expect(await Array.fromAsync(readWireChunks(stream))).toEqual([{ text: "P", error_code: 0 }]);
  });

  it("refuses a frame over the limit before its end", async () => {
    const stream = inPieces(new Uint8Array((1 << 20) + 1).fill(0x20), [1 << 16]);
    await expect(readWireChunks(stream).next()).rejects.toThrow("a frame of more than 1048576 bytes");
  });

  it.each(["{", '{"text":1,"error_code":0}', '{"text":"x"}', "[]"])("refuses the frame %j", async (frame) => {
    const read = readWireChunks(inPieces(encoder.encode(`${frame}\0`), [64])).next();
    await expect(read).rejects.toMatchObject({ code: "worker_lost" });
  });

  it("refuses a stream that ends inside a frame", async () => {
    const reader = readWireChunks(inPieces(encoder.encode(`${encodeWireChunk("P", 0)}{"text"`), [10]));
    expect(await reader.next()).toMatchObject({ value: { text: "P" } });
    await expect(reader.next()).rejects.toThrow("ended in the middle of a frame");
  });
});

describe("parseWireGenerateRequest", () => {
  it("has the original's defaults", () => {
    expect(parseWireGenerateRequest({ prompt: "P" })).toEqual({
      resume: null,
      model: null,
      prompt: "P",
      images: [],
      temperature: 1,
      topP: 1,
      maxNewTokens: 256,
      stop: null,
    });
  });

  it("reads numbers from strings, cuts max_new_tokens and drops an empty stop", () => {
    const fields = {
      temperature: "0.2",
      top_p: "0.7",
      max_new_tokens: "1536",
      stop: "",
      images: null,
      extra: 1,
    };
    const request = parseWireGenerateRequest({ model: "m", prompt: "P", ...fields });
    expect(request).toMatchObject({ temperature: 0.2, topP: 0.7, maxNewTokens: 1024, stop: null });
  });

  it.each([
    [{ temperature: "nan" }, "The field temperature must be a number from 0 to 2"],
    [{ top_p: 0 }, "The field top_p must be"],
    [{ prompt: undefined }, "The field prompt is missing"],
    [{ images: ["?"] }, "The field images[0] is not base64"],
  ])("refuses %j", (fields, sentence) => {
    expect(() => parseWireGenerateRequest({ prompt: "P", ...fields })).toThrow(sentence);
  });
});
