import * as fc from "fast-check";
import { expect, it, test } from "vitest";
import { StreamFrameSplitter, type Framing } from "./stream-splitter.ts";

/** The frames of a text that comes in pieces of these lengths, then in one, and what is left at its end. */
function split(framing: Framing, text: string, lengths: readonly number[] = []): readonly string[] {
  const splitter = new StreamFrameSplitter(framing);
  const bytes = new TextEncoder().encode(text);
  const frames: Uint8Array[] = [];
  let start = 0;
  for (const length of [...lengths, bytes.length]) {
    frames.push(...splitter.push(bytes.subarray(start, start + length)));
    start += length;
  }
  const rest = splitter.rest();
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return [...frames, ...(rest === null ? [] : [rest])].map((frame) => decoder.decode(frame));
}

test("the stream splitter keeps every byte and cuts at the same places however they come", () => {
  const part = fc.constantFrom("data: {}", "é🎈", "\n", "\r\n", ": ping", "\0", "\n\n", "data: [DONE]");
  const lengths = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 80 });
  fc.assert(
    fc.property(fc.array(part), lengths, fc.constantFrom("events", "wire"), (parts, sizes, framing) => {
      const text = parts.join("");
      const frames = split(framing, text, sizes);
      expect(frames.join("")).toBe(text);
      expect(frames).toEqual(split(framing, text));
      const end = framing === "wire" ? /^[^\0]*\0$/ : /(^|\n)\r?\n$/;
      for (const frame of frames.slice(0, -1)) expect(frame).toMatch(end);
    }),
  );
});

it("keeps bytes that the caller uses again", () => {
  const splitter = new StreamFrameSplitter("wire");
  // A Buffer, whose slice() is a view.
  const chunk = Buffer.from("ab");
  splitter.push(chunk);
  chunk.fill("z");
  expect(splitter.push(Uint8Array.of(0)).map(String)).toEqual(["97,98,0"]);
});

it("refuses a frame over the limit before its end, whole or in pieces", () => {
  const splitter = new StreamFrameSplitter("wire", 4);
  expect(splitter.push(Uint8Array.of(1, 2))).toEqual([]);
  expect(() => splitter.push(Uint8Array.of(3, 4, 5))).toThrow("a frame of more than 4 bytes");
  const whole = new StreamFrameSplitter("events", 4);
  expect(() => whole.push(new TextEncoder().encode("12345\n\n"))).toThrow("more than 4 bytes");
});
