import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";

import { assert, property, uint8Array } from "fast-check";
import sharp from "sharp";
import { expect, test } from "vitest";

import { sniff } from "./sniff.ts";

const SAMPLE = new URL("../../public/samples/counting.png", import.meta.url);
const noise = (channels: 3 | 4) =>
  sharp(Buffer.alloc(40 * 30 * channels, 99), { raw: { width: 40, height: 30, channels } });
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

test("sniff: our own drawings are PNGs without metadata", async () => {
  expect(sniff(await readFile(SAMPLE))).toMatchObject({ kind: "png", hasNotes: false, isAnimated: false });
});

test("sniff: format, size, transparency and metadata", async () => {
  const jpeg = await noise(3).jpeg().toBuffer();
  expect(sniff(jpeg)).toMatchObject({
    kind: "jpeg",
    size: { width: 40, height: 30 },
    mayBeTransparent: false,
  });
  const png = await noise(4).png().toBuffer();
  expect(sniff(png)).toMatchObject({ kind: "png", size: { width: 40, height: 30 }, mayBeTransparent: true });
  const noted = await noise(3)
    .withExif({ IFD0: { Make: "A camera" } })
    .png()
    .toBuffer();
  expect(sniff(noted)).toMatchObject({ kind: "png", hasNotes: true });
  expect(sniff(await noise(3).webp().toBuffer())).toMatchObject({ kind: "webp", isAnimated: false });
  expect(sniff(await noise(4).webp({ lossless: true }).toBuffer()).mayBeTransparent).toBe(true);
  expect(sniff(await noise(3).gif().toBuffer())).toMatchObject({ kind: "gif", isAnimated: false });
});

test("sniff: animations are recognized in every format", async () => {
  const frames = [0, 120, 240].map((value) => Buffer.alloc(20 * 20 * 3, value));
  const film = () =>
    sharp(Buffer.concat(frames), { raw: { width: 20, height: 60, channels: 3, pageHeight: 20 } });
  expect(sniff(await film().gif({ delay: 100 }).toBuffer())).toMatchObject({ kind: "gif", isAnimated: true });
  expect(
    sniff(
      await film()
        .webp({ delay: [100, 100, 100] })
        .toBuffer(),
    ).isAnimated,
  ).toBe(true);
  const apng = Buffer.from(await noise(3).png().toBuffer());
  const control = Buffer.from("000000086163544c0000000200000000f38d9370", "hex");
  expect(sniff(Buffer.concat([apng.subarray(0, 33), control, apng.subarray(33)])).isAnimated).toBe(true);
});

test.each([
  [text("\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "heic"],
  [text("\0\0\0\x18ftypmif1\0\0\0\0mif1heic"), "heic"],
  [text("\0\0\0\x18ftypavif\0\0\0\0mif1avif"), "avif"],
  [text("\0\0\0\x18ftypisom\0\0\0\0"), "video"],
  [text('<?xml version="1.0"?>\n<!-- made -->\n<svg xmlns="x">'), "svg"],
  [text("<svg>"), "svg"],
  [text("%PDF-1.7"), "pdf"],
  [text("BM      "), "bmp"],
  [text("words"), "unknown"],
  [new Uint8Array(), "unknown"],
])("sniff: the first bytes %s", (bytes, kind) => {
  expect(sniff(bytes).kind).toBe(kind);
});

test("sniff: no bytes make it throw or loop, after any beginning", () => {
  const heads = ["", "GIF89a", "\xff\xd8\xff\xe0", "RIFF....WEBPVP8X", "\x89PNG\r\n\x1a\n"];
  assert(
    property(uint8Array({ maxLength: 200 }), (tail) => {
      for (const head of heads) sniff(Buffer.concat([Buffer.from(head, "latin1"), tail]));
    }),
  );
});
