import * as fc from "fast-check";
import { expect, it } from "vitest";

import { encodeSse, SSE_PING, SseParser, type SseEvent } from "./sse.ts";

const encoder = new TextEncoder();

function parse(text: string, size: number): SseEvent[] {
  const parser = new SseParser();
  const bytes = encoder.encode(text);
  const events: SseEvent[] = [];
  for (let start = 0; start < bytes.length; start += size) {
    events.push(...parser.push(bytes.subarray(start, start + size)));
  }
  return events;
}

it.each(["\n", "\r", "\r\n"])("SseParser reads lines that end in %j at every cut", (end) => {
  const lines = [
    "event: token",
    "data: é🎈",
    "data:  two",
    "",
    ": ping",
    "",
    "data",
    "",
    "id: 4",
    "data:last",
    "",
    "",
  ];
  const expected = [
    { event: "token", data: "é🎈\n two" },
    { event: "message", data: "" },
    { event: "message", data: "last" },
  ];
  for (let size = 1; size <= 80; size += 1) expect(parse(lines.join(end), size)).toEqual(expected);
});

it("SseParser reads back what encodeSse writes", () => {
  const data = fc.string({ unit: "grapheme" });
  fc.assert(
    fc.property(fc.array(data, { maxLength: 4 }), fc.integer({ min: 1, max: 20 }), (texts, size) => {
      const sent = texts.map((text) => encodeSse(text) + SSE_PING).join("");
      expect(parse(sent, size).map((event) => event.data)).toEqual(
        texts.map((text) => text.replaceAll(/\r\n|\r/g, "\n")),
      );
    }),
  );
});

it("SseParser drops an event without its empty line", () => {
  expect(parse("data: whole\n\ndata: half\n", 3)).toEqual([{ event: "message", data: "whole" }]);
});

it("SseParser limits a line and an event of many lines", () => {
  const parser = new SseParser(10);
  expect(() => parser.push(encoder.encode("data: 0123456789"))).toThrow("more than 10 characters");
  const lines = new SseParser(10);
  expect(() => lines.push(encoder.encode("data: 01234\ndata: 01234\n"))).toThrow("more than 10 characters");
});

it("SseParser has the id of the last event that is whole", () => {
  const parser = new SseParser();
  const pieces = ["id: a-1\nda", "ta: 1\n", "\n", ": ping\n\n", "data: 2\n\nid: a", "-2\ndata: 3\n", "\n"];
  const seen = pieces.map((piece) => {
    parser.push(encoder.encode(piece));
    return parser.lastEventId;
  });
  expect(seen).toEqual(["", "", "a-1", "a-1", "a-1", "a-1", "a-2"]);
});
