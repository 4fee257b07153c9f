import { readFileSync } from "node:fs";
import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { decodeImage, imageHash } from "./decode-image.ts";
import { IMAGE_LIMITS, readImageHeader } from "./image-header.ts";

const wide = readFileSync(new URL("../../../test/golden/wide.png", import.meta.url));

async function sentence(bytes: Uint8Array, limits = IMAGE_LIMITS): Promise<string> {
  const error: unknown = await decodeImage(bytes, limits).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: "LlavaError", code: "invalid_image" });
  return error instanceof Error ? error.message : "";
}

/** A PNG of the size that it claims, with so little data that only its header can be true. */
function pngHeader(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const data = deflateSync(Buffer.alloc(100));
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", data),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, "latin1");
  data.copy(out, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

describe("a file that is no image is refused by the name of its format", () => {
  test.each([
    ["an empty file", "", /empty file/],
    ["text", "hello, I am no image", /not an image that can be read/],
    ["GIF", "GIF89a\x01\x00\x01\x00", /is a GIF/],
    ["TIFF", "II*\0....", /is a TIFF/],
    ["BMP", "BM......", /is a BMP/],
    ["PDF", "%PDF-1.7", /is a PDF/],
    ["AVIF", "\0\0\0\x20ftypavif", /is a HEIF, AVIF/],
    ["JPEG XL", "\0\0\0\x0cJXL \r\n", /is a JPEG XL/],
    ["SVG", ' <svg xmlns="http://www.w3.org/2000/svg"/>', /is an SVG/],
    ["SVG after an XML line", '<?xml version="1.0"?><svg/>', /is an SVG/],
    ["HTML", "<!DOCTYPE html><html>", /is a web page/],
    ["a RIFF that is no WebP", "RIFF\0\0\0\0WAVE", /not an image that can be read/],
  ])("%s", async (_, text, expected) => {
    const message = await sentence(Buffer.from(text, "latin1"));
    expect(message).toMatch(expected);
    expect(message).toMatch(/\. (Send the image as PNG, JPEG or WebP|Choose the file again)\.$/);
  });
});

describe("a header", () => {
  test.each(["wide", "tall", "rgba", "rotated", "grayscale", "tiny"])(
    "has the size of the upright image: %s",
    async (name) => {
      const file = readFileSync(new URL(`../../../test/golden/${name}.png`, import.meta.url));
      const { width, height } = await decodeImage(file);
      expect(await readImageHeader(file)).toEqual({ width, height });
    },
  );

  test("has the size of an animation's first frame", async () => {
    const frames = await sharp(Buffer.alloc(4 * 6 * 3), {
      raw: { width: 4, height: 6, channels: 3, pageHeight: 3 },
    })
      .webp({ loop: 0 })
      .toBuffer();
    expect(await readImageHeader(frames)).toEqual({ width: 4, height: 3 });
    expect(await decodeImage(frames)).toMatchObject({ width: 4, height: 3 });
  });

  test("is read where the pixels are damaged, and refused where it is too large", async () => {
    expect(await readImageHeader(pngHeader(300, 200))).toEqual({ width: 300, height: 200 });
    await expect(readImageHeader(pngHeader(20_000, 10))).rejects.toMatchObject({ code: "invalid_image" });
  });
});

describe("a damaged image is refused with a sentence", () => {
  test.each(["png", "jpeg", "webp"] as const)("%s cut off anywhere", async (format) => {
    const whole = await sharp(wide).toFormat(format).toBuffer();
    for (const part of [0.05, 0.3, 0.6, 0.95]) {
      expect(await sentence(whole.subarray(0, Math.floor(whole.length * part)))).toMatch(
        /damaged or cut off/,
      );
    }
  });

  test("a signature and nothing else", async () => {
    expect(await sentence(wide.subarray(0, 8))).toMatch(/damaged or cut off/);
    expect(await sentence(Uint8Array.of(0xff, 0xd8, 0xff))).toMatch(/damaged or cut off/);
  });

  test("a size of zero", async () => {
    expect(await sentence(pngHeader(0, 10))).toMatch(/damaged or cut off/);
  });

  test("data that ends before the rows do", async () => {
    expect(await sentence(pngHeader(300, 200))).toMatch(/damaged or cut off/);
  });
});

describe("dimensions are refused from the header", () => {
  test.each([
    [65_500, 1, /65500 × 1 pixels; a side may have at most 16384/],
    [20_000, 20_000, /20000 × 20000 pixels; a side may have at most 16384/],
    [16_000, 16_000, /256000000 in all; at most 40000000/],
    [2_000_000_000, 2_000_000_000, /at most 16384|damaged/],
    [1005, 5, /at most 200 times the other/],
    [5, 1005, /at most 200 times the other/],
  ])("%i × %i", async (width, height, expected) => {
    expect(await sentence(pngHeader(width, height))).toMatch(expected);
  });

  test("of a whole file, without decoding it", async () => {
    const solid = { create: { width: 16_000, height: 3000, channels: 3, background: "red" } } as const;
    const file = await sharp(solid).png().toBuffer();
    expect(await sentence(file)).toMatch(/48000000 in all/);
  });

  test("and the file's length before that", async () => {
    expect(await sentence(wide, { ...IMAGE_LIMITS, maxBytes: 1000 })).toMatch(/at most 1000 are taken/);
    expect(await sentence(new Uint8Array(IMAGE_LIMITS.maxBytes + 1))).toMatch(/at most 10485760/);
  });
});

describe("decoding", () => {
  test.each(["png", "jpeg", "webp"] as const)("%s", async (format) => {
    const file = await sharp(wide).toFormat(format).toBuffer();
    const image = await decodeImage(file);
    expect([image.width, image.height, image.rgb.length]).toEqual([301, 97, 301 * 97 * 3]);
  });

  test("of 16 bits, palettes, grey with alpha, CMYK", async () => {
    const files = await Promise.all([
      sharp(wide).toColourspace("rgb16").png().toBuffer(),
      sharp(wide).png({ palette: true }).toBuffer(),
      sharp(wide).greyscale().ensureAlpha(0.5).png().toBuffer(),
      sharp(wide).toColourspace("cmyk").jpeg().toBuffer(),
    ]);
    for (const file of files) {
      const image = await decodeImage(file);
      expect(image.rgb).toHaveLength(301 * 97 * 3);
      expect(new Set(image.rgb).size).toBeGreaterThan(10);
    }
  });

  test("lays transparent images on white", async () => {
    const clear = {
      create: { width: 4, height: 3, channels: 4, background: { r: 9, g: 9, b: 9, alpha: 0 } },
    } as const;
    const { rgb } = await decodeImage(await sharp(clear).png().toBuffer());
    expect(rgb).toEqual(new Uint8Array(36).fill(255));
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])("turns EXIF orientation %i upright", async (orientation) => {
    const raw = { width: 2, height: 1, channels: 3 } as const;
    const file = await sharp(Buffer.from([255, 0, 0, 0, 0, 255]), { raw })
      .withMetadata({ orientation })
      .png()
      .toBuffer();
    const image = await decodeImage(file);
    const red = image.rgb[0] === 255;
    expect([image.width, image.height]).toEqual(orientation < 5 ? [2, 1] : [1, 2]);
    expect(red).toBe([1, 4, 5, 6].includes(orientation));
  });

  test("takes the first frame of an animation", async () => {
    const frames = Buffer.alloc(4 * 8 * 3);
    frames.fill(200, 0, 4 * 4 * 3);
    const file = await sharp(frames, { raw: { width: 4, height: 8, channels: 3, pageHeight: 4 } })
      .webp({ lossless: true })
      .toBuffer();
    const image = await decodeImage(file);
    expect([image.width, image.height]).toEqual([4, 4]);
    expect(image.rgb[0]).toBe(200);
  });
});

test("the loaders of other formats are blocked, also for code that does not check the first bytes", async () => {
  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>');
  await expect(sharp(svg).metadata()).rejects.toThrow();
});

describe("decoding can be cancelled", () => {
  test("before it begins", async () => {
    const decoding = decodeImage(wide, IMAGE_LIMITS, AbortSignal.abort());
    await expect(decoding).rejects.toMatchObject({ code: "cancelled" });
  });

  test("while it runs", async () => {
    const grey = { r: 9, g: 9, b: 9, alpha: 0.5 };
    const file = await sharp({ create: { width: 3000, height: 2000, channels: 4, background: grey } })
      .png()
      .toBuffer();
    const controller = new AbortController();
    const decoding = decodeImage(file, IMAGE_LIMITS, controller.signal);
    setTimeout(() => controller.abort(), 5);
    await expect(decoding).rejects.toMatchObject({ code: "cancelled" });
  });
});

describe("an image's identity", () => {
  test("is its pixels, not its file", async () => {
    const other = await sharp(wide).png({ compressionLevel: 1 }).toBuffer();
    expect(other.equals(wide)).toBe(false);
    expect(await imageHash(await decodeImage(wide))).toBe(await imageHash(await decodeImage(other)));
  });

  test("differs for images of the same bytes and other edges", async () => {
    const rgb = new Uint8Array(36);
    const hashes = await Promise.all([
      imageHash({ width: 4, height: 3, rgb }),
      imageHash({ width: 3, height: 4, rgb }),
    ]);
    expect(hashes[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(hashes[0]).not.toBe(hashes[1]);
  });
});
