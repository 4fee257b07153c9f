import { createHash, randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findImages, imageKeysOf, referredKeysOf } from "./image-fields.ts";

const REFERENCE = `sha256:${"ab".repeat(32)}`;

function keyOf(file: Uint8Array): string {
  return `sha256:${createHash("sha256").update(file).digest("hex")}`;
}

function dataUrl(file: Uint8Array): string {
  return `data:image/png;base64,${Buffer.from(file).toString("base64")}`;
}

function chat(...urls: readonly string[]): object {
  const parts = urls.map((url) => ({ type: "image_url", image_url: { detail: "low", url } }));
  return { model: "m", messages: [{ role: "user", content: [{ type: "text", text: "?" }, ...parts] }] };
}

function found(body: Buffer): readonly string[] {
  return findImages(body).map(({ start, end }) => body.toString("latin1", start, end));
}

describe("findImages", () => {
  it("finds data URLs and references wherever the body has them, in order", () => {
    const texts = fc.array(fc.oneof(fc.string(), fc.constantFrom('"url":"data:', "\\", '"', "🎈")));
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 4 }),
        texts,
        fc.constantFrom(0, 1, 3),
        (files, words, space) => {
          const urls = [...files.map(dataUrl), REFERENCE];
          const body = { words, ...chat(...urls), after: words };
          expect(found(Buffer.from(JSON.stringify(body, null, space)))).toEqual(urls);
        },
      ),
    );
  });

  it("finds the base64 of LLaVA's images", () => {
    expect(found(Buffer.from('{"images" : [ "AAAA","BBBB"], "prompt":"CCCC"}'))).toEqual(["AAAA", "BBBB"]);
  });

  it("finds what the newer parts write", () => {
    const parts = [{ type: "input_image", image_url: "data:image/png;base64,AAAA" }];
    expect(found(Buffer.from(JSON.stringify({ parts })))).toHaveLength(1);
  });

  it("takes no address, no text and no body that breaks off for an image", () => {
    const words = {
      text: "data:image/png;base64,AAAA",
      url: ["a", "data:image/png;base64,AAAA"],
      images: {},
    };
    expect(found(Buffer.from(JSON.stringify({ ...chat("https://example.com/a.png"), words })))).toEqual([]);
    expect(found(Buffer.from('{"url":"data:image/png;base64,AAAA'))).toEqual([]);
  });

  it("stops after as many as a request may have", () => {
    const urls = Array.from({ length: 9 }, () => REFERENCE);
    expect(findImages(Buffer.from(JSON.stringify(chat(...urls))))).toHaveLength(8);
  });
});

describe("imageKeysOf", () => {
  it("hashes the file, whatever its length", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 100 }), async (file) => {
        expect(await imageKeysOf(Buffer.from(JSON.stringify(chat(dataUrl(file)))))).toEqual([keyOf(file)]);
        const wire = { images: [Buffer.from(file).toString("base64")] };
        expect(await imageKeysOf(Buffer.from(JSON.stringify(wire)))).toEqual([keyOf(file)]);
      }),
    );
  });

  it.each([0, 1, 2])("hashes one of many slices and %i bytes, slashes escaped or not", async (more) => {
    const file = randomBytes(1_000_000 + more);
    const body = JSON.stringify(chat(dataUrl(file)));
    expect(await imageKeysOf(Buffer.from(body))).toEqual([keyOf(file)]);
    expect(await imageKeysOf(Buffer.from(body.replaceAll("/", "\\/")))).toEqual([keyOf(file)]);
  });

  it("names each once", async () => {
    const url = dataUrl(Buffer.from("file"));
    const body = Buffer.from(JSON.stringify(chat(url, REFERENCE, url, REFERENCE)));
    expect(await imageKeysOf(body)).toEqual([keyOf(Buffer.from("file")), REFERENCE]);
  });

  it("lets other requests have their turns, and stops when its signal aborts", async () => {
    const body = Buffer.from(JSON.stringify(chat(dataUrl(randomBytes(3_000_000)))));
    const client = new AbortController();
    let turns = 0;
    const keys = imageKeysOf(body, client.signal);
    while (turns < 5) {
      await nextTurn();
      turns += 1;
    }
    client.abort(new Error("left"));
    await expect(keys).rejects.toThrow("left");
  });
});

it("referredKeysOf finds references only, and no images in the body", () => {
  const body = Buffer.from(JSON.stringify(chat(dataUrl(Buffer.from("file")), REFERENCE, REFERENCE)));
  expect(referredKeysOf(body)).toEqual([REFERENCE]);
});
