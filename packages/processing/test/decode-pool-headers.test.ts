/** Headers of files that are larger than the beginning that is read first are those of the whole files. */
import { randomBytes } from "node:crypto";
import sharp, { type Sharp } from "sharp";
import { expect, test } from "vitest";
import { DecodePool } from "../src/image/decode/decode-pool.ts";
import { readImageHeader } from "../src/image/decode/image-header.ts";

const SIZE = { width: 400, height: 300 };
const noise = (): Sharp =>
  sharp(randomBytes(SIZE.width * SIZE.height * 3), { raw: { ...SIZE, channels: 3 } }).withMetadata({
    // A quarter turn: the upright image is as wide as the stored one is high.
    orientation: 6,
  });

/** Comments of 60,000 bytes behind the first marker push the size out of the beginning of a JPEG. */
function withComments(jpeg: Buffer, count: number): Buffer {
  const comment = Buffer.alloc(60_002, 0x20);
  comment.writeUInt16BE(0xff_fe, 0);
  comment.writeUInt16BE(60_000, 2);
  return Buffer.concat([
    jpeg.subarray(0, 2),
    ...Array.from({ length: count }, () => comment),
    jpeg.subarray(2),
  ]);
}

test.each([
  ["a JPEG", async () => await noise().jpeg({ quality: 100 }).toBuffer()],
  [
    "a JPEG with its size far behind",
    async () => withComments(await noise().jpeg({ quality: 100 }).toBuffer(), 3),
  ],
  ["a PNG", async () => await noise().png().toBuffer()],
  [
    "a WebP, whose EXIF lies behind its pixels",
    async () => await noise().webp({ lossless: true }).toBuffer(),
  ],
])("the header of %s", async (_, make) => {
  const bytes = await make();
  expect(bytes.length).toBeGreaterThan(100_000);
  using pool = new DecodePool();
  expect(await pool.header(bytes)).toEqual({ width: SIZE.height, height: SIZE.width });
  expect(await pool.header(bytes)).toEqual(await readImageHeader(bytes));
});

test("the refusal of a large file without a header is that of the whole file", async () => {
  const bytes = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(200_000)]);
  using pool = new DecodePool();
  await expect(pool.header(bytes)).rejects.toMatchObject({
    code: "invalid_image",
    message: /damaged or cut off/,
  });
});
