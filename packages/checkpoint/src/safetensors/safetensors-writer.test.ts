import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Checkpoint } from "../source/checkpoint.ts";
import { narrowToBfloat16, narrowToFloat16, widenBfloat16, widenFloat16 } from "../tensors/float16.ts";
import { type WritableTensor, writeSafetensors } from "./safetensors-writer.ts";
import { BYTES_PER_ELEMENT } from "../tensors/tensor-entry.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "llava-writer-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const shapes = fc.array(fc.nat({ max: 5 }), { maxLength: 4 });

function tensorNamed(name: string): fc.Arbitrary<WritableTensor> {
  return shapes.chain((shape) => {
    const length = shape.reduce((product, axis) => product * axis, 1);
    const exactly = { minLength: length, maxLength: length };
    return fc.oneof(
      fc.record({
        name: fc.constant(name),
        dtype: fc.constantFrom("F32" as const, "F16" as const, "BF16" as const),
        shape: fc.constant(shape),
        data: fc.float32Array(exactly),
      }),
      fc.record({
        name: fc.constant(name),
        dtype: fc.constant("I64" as const),
        shape: fc.constant(shape),
        data: fc.bigInt64Array(exactly),
      }),
    );
  });
}

const names = fc.uniqueArray(
  fc.string({ unit: "grapheme" }).filter((name) => name !== "__metadata__" && name.isWellFormed()),
  { maxLength: 8 },
);
const files = names.chain((list) => fc.tuple(...list.map(tensorNamed)));

/** What the file can hold of the values. */
function rounded(tensor: WritableTensor): Float32Array {
  const values = Float32Array.from(tensor.data, Number);
  if (tensor.dtype !== "F16" && tensor.dtype !== "BF16") return values;
  const bits = new Uint16Array(values.length);
  (tensor.dtype === "F16" ? narrowToFloat16 : narrowToBfloat16)(values, bits);
  (tensor.dtype === "F16" ? widenFloat16 : widenBfloat16)(bits, values);
  return values;
}

test("whatever is written is read again: names, dtypes, shapes and values", async () => {
  await fc.assert(
    fc.asyncProperty(files, async (tensors) => {
      await writeSafetensors(path.join(folder, "model.safetensors"), tensors);
      const checkpoint = await Checkpoint.open(folder);
      expect(checkpoint.names().sort()).toEqual(tensors.map(({ name }) => name).sort());
      for (const tensor of tensors) {
        const { dtype, shape, offset, length } = checkpoint.get(tensor.name);
        expect({ dtype, shape }).toEqual({ dtype: tensor.dtype, shape: tensor.shape });
        expect(offset % BYTES_PER_ELEMENT[dtype]).toBe(0);
        expect(length).toBe(tensor.data.length * BYTES_PER_ELEMENT[dtype]);
        if (dtype !== "I64") expect(await checkpoint.read(tensor.name)).toEqual(rounded(tensor));
      }
    }),
    // Each run waits for the disk once or twice.
    { numRuns: 50 },
  );
});

test("a tensor may be called like a property of every object", async () => {
  const tensors = ["__proto__", "constructor"].map((name) => one(name));
  await writeSafetensors(path.join(folder, "names.safetensors"), tensors);
  const checkpoint = await Checkpoint.open(folder, { file: "names.safetensors" });
  expect(checkpoint.names()).toEqual(["__proto__", "constructor"]);
});

test("data in half precision longer than one piece is written and read in several", async () => {
  const data = Float32Array.from({ length: 700_001 }, (_, i) => (i % 2048) - 1024);
  for (const dtype of ["F16", "BF16"] as const) {
    await writeSafetensors(path.join(folder, "large.safetensors"), [
      { name: "w", dtype, shape: [700_001], data },
    ]);
    const checkpoint = await Checkpoint.open(folder, { file: "large.safetensors" });
    const expected = rounded({ name: "w", dtype, shape: [700_001], data });
    expect(Buffer.from((await checkpoint.read("w")).buffer).equals(Buffer.from(expected.buffer))).toBe(true);
  }
});

test("the header is what other readers ask for: aligned, padded with spaces, format pt", async () => {
  const file = path.join(folder, "header.safetensors");
  const data = Float32Array.of(1, -2);
  await writeSafetensors(file, [{ name: "w", dtype: "BF16", shape: [2], data }], { maker: "test" });
  const bytes = await readFile(file);
  const length = Number(bytes.readBigUInt64LE(0));
  expect(length % 8).toBe(0);
  expect(
    bytes
      .subarray(8, 8 + length)
      .toString()
      .trimEnd(),
  ).toBe(
    '{"__metadata__":{"format":"pt","maker":"test"},"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}',
  );
  expect([...bytes.subarray(8 + length)]).toEqual([0x80, 0x3f, 0x00, 0xc0]);
});

test("a failed write leaves the old file and nothing else", async () => {
  const own = await mkdtemp(path.join(folder, "own-"));
  const file = path.join(own, "model.safetensors");
  const good = { name: "w", dtype: "F32" as const, shape: [1], data: Float32Array.of(7) };
  await writeSafetensors(file, [good]);
  const broken: WritableTensor = Object.defineProperty({ ...good, name: "v" }, "data", {
    get: failingAfter(1, good.data),
  });
  await expect(writeSafetensors(file, [good, broken])).rejects.toThrow("the disk is gone");
  expect(await readdir(own)).toEqual(["model.safetensors"]);
  const checkpoint = await Checkpoint.open(own);
  expect([...(await checkpoint.read("w"))]).toEqual([7]);
});

/** The first reads belong to the checks; the next one comes while the file is half written. */
function failingAfter(count: number, data: Float32Array): () => Float32Array {
  let reads = 0;
  return () => {
    reads++;
    if (reads > count) throw new Error("the disk is gone");
    return data;
  };
}

test.each<[string, WritableTensor[]]>([
  ["given twice", [one("w"), one("w")]],
  ["no tensor can be called", [one("__metadata__")]],
  ["no tensor can be called", [one("\uD800")]],
  ["1 values for the shape [2]", [{ ...one("w"), shape: [2] }]],
  ["for the shape [-1, -1]", [{ ...one("w"), shape: [-1, -1] }]],
  ["for the shape [0.5, 2]", [{ ...one("w"), shape: [0.5, 2] }]],
  ["for the shape [1, 1, 1, 1, 1, 1, 1, 1, 1]", [{ ...one("w"), shape: Array.from({ length: 9 }, () => 1) }]],
])("refuses what no file can hold: %s", async (reason, tensors) => {
  const own = await mkdtemp(path.join(folder, "own-"));
  const written = writeSafetensors(path.join(own, "model.safetensors"), tensors);
  await expect(written).rejects.toMatchObject({ code: "internal", message: expect.stringContaining(reason) });
  expect(await readdir(own)).toEqual([]);
});

function one(name: string): WritableTensor {
  return { name, dtype: "F32", shape: [1], data: Float32Array.of(1) };
}
