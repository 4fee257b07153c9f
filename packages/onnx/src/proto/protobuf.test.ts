import * as fc from "fast-check";
import protobuf from "protobufjs";
import { expect, it } from "vitest";
import { ProtobufWriter } from "./protobuf.ts";

const INT_MAX = Number.MAX_SAFE_INTEGER;

/** Reads one field's tag and leaves the reader at its value. */
function open(bytes: Uint8Array, field: number, wireType: number): protobuf.Reader {
  const reader = protobuf.Reader.create(bytes);
  expect(reader.uint32()).toBe(field * 8 + wireType);
  return reader;
}

it("writes integers that another reader reads, up to 53 bits and below zero", () => {
  const check = (field: number, value: number): void => {
    const reader = open(new ProtobufWriter().int(field, value).finish(), field, 0);
    expect(Number(reader.int64())).toBe(value);
    expect(reader.pos).toBe(reader.len);
  };
  for (const value of [
    0,
    1,
    127,
    128,
    16_383,
    16_384,
    2 ** 31,
    2 ** 32,
    2 ** 35,
    INT_MAX,
    -1,
    -128,
    -INT_MAX,
  ]) {
    check(1, value);
  }
  fc.assert(fc.property(fc.integer({ min: 1, max: 2000 }), fc.maxSafeInteger(), check));
});

it("writes floats and strings that another reader reads", () => {
  fc.assert(
    fc.property(fc.float(), (value) => {
      expect(open(new ProtobufWriter().float(2, value).finish(), 2, 5).float()).toBe(value);
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (value) => {
      expect(open(new ProtobufWriter().string(3, value).finish(), 3, 2).string()).toBe(value);
    }),
  );
});

it("grows over large fields and nests messages", () => {
  const payload = new Uint8Array(100_000).fill(7);
  const bytes = new ProtobufWriter(1)
    .message(1, (inner) => inner.message(2, (innermost) => innermost.bytes(3, payload)))
    .int(4, 5)
    .finish();
  const outer = open(bytes, 1, 2);
  const inner = open(outer.bytes(), 2, 2);
  expect(open(inner.bytes(), 3, 2).bytes()).toEqual(payload);
  expect([outer.uint32(), outer.uint32(), outer.pos]).toEqual([4 * 8, 5, bytes.length]);
});
