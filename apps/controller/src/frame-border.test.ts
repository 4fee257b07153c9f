import * as fc from "fast-check";
import { expect, it } from "vitest";
import { FrameBorder } from "./frame-border.ts";

it("passes the same bytes on and stops only at borders", () => {
  const byte = fc.constantFrom(0, 1, 2);
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 6, min: 0, max: 2 })), byte, (chunks, delimiter) => {
      const border = new FrameBorder(delimiter);
      const passed: number[] = [];
      for (const chunk of chunks) {
        passed.push(...border.push(chunk).flatMap((bytes) => [...bytes]));
        if (passed.length > 0) expect(passed.at(-1)).toBe(delimiter);
      }
      passed.push(...border.rest().flatMap((bytes) => [...bytes]));
      expect(passed).toEqual(chunks.flatMap((bytes) => [...bytes]));
    }),
  );
});

it("does not hold a frame without an end", () => {
  const border = new FrameBorder(0, 4);
  expect(border.push(Uint8Array.of(1, 2))).toEqual([]);
  expect(() => border.push(Uint8Array.of(3, 4, 5))).toThrow("a frame of more than 4 bytes");
});
