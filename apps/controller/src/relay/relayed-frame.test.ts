import {
  encodeResumeHead,
  encodeResumeTokens,
  SSE_PING,
  StreamFrameSplitter,
  type Framing,
} from "@llava/protocol";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readFrame, type Frame } from "./relayed-frame.ts";

const HEAD = { id: "chatcmpl-1", created: 17, seed: 5 };

/** The frames of a text that comes in pieces of these lengths, then in one. */
function cut(framing: Framing, text: string, lengths: readonly number[] = []): Frame[] {
  const splitter = new StreamFrameSplitter(framing);
  const bytes = new TextEncoder().encode(text);
  const frames: Frame[] = [];
  let start = 0;
  for (const length of [...lengths, bytes.length]) {
    frames.push(
      ...splitter.push(bytes.subarray(start, start + length)).map((frame) => readFrame(frame, framing)),
    );
    start += length;
  }
  const rest = splitter.rest();
  return rest === null ? frames : [...frames, readFrame(rest, framing)];
}

function textOf(frames: readonly Frame[]): string {
  return Buffer.concat(frames.map(({ bytes }) => bytes)).toString();
}

const lengths = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 80 });

it("relayed frames have the same bytes, however they come", () => {
  const part = fc.constantFrom("data: {}", "x", "\n", "\r\n", ": ping", "\0", "\n\n", "data: [DONE]");
  fc.assert(
    fc.property(fc.array(part), lengths, fc.constantFrom("events", "wire"), (parts, sizes, framing) => {
      const text = parts.join("");
      const frames = cut(framing, text, sizes);
      expect(textOf(frames)).toBe(text);
      expect(frames).toEqual(cut(framing, text));
      for (const { bytes } of frames.slice(0, -1)) {
        const end = Buffer.from(bytes).toString();
        expect(end).toMatch(framing === "wire" ? /\0$/ : /^\r?\n$|\n\r?\n$/);
      }
    }),
  );
});

it("relayed frames lose the lines for resuming, whatever the text is and wherever it is cut", () => {
  const words = fc.array(fc.tuple(fc.string(), fc.array(fc.nat(1_000_000), { maxLength: 4 })));
  fc.assert(
    fc.property(words, lengths, (blocks, sizes) => {
      const plain = blocks.map(([text]) => `data: ${JSON.stringify({ text })}\n\n`);
      const sent = blocks.map(([, tokens], index) => `${encodeResumeTokens(tokens)}${plain[index]}`);
      const begun = `${encodeResumeHead(HEAD)}data: {}\n\n${SSE_PING}`;
      const frames = cut("events", begun + sent.join(""), sizes);
      expect(textOf(frames)).toBe(`data: {}\n\n${SSE_PING}${plain.join("")}`);
      expect(frames[0]?.head).toEqual(HEAD);
      expect(frames.slice(2).map(({ tokens }) => tokens)).toEqual(blocks.map(([, tokens]) => tokens));
    }),
  );
});

describe("the kind of an event", () => {
  it.each<[string, Frame["kind"]]>([
    ['data: {"choices":[]}\n\n', "data"],
    ['data:{"choices":[]}\r\n\r\n', "data"],
    ["event: delta\ndata: x\n\n", "data"],
    [": comment\ndata: {}\n\n", "data"],
    [": ping\n\n", "filler"],
    ["\n", "filler"],
    ["data: [DONE]\n\n", "end"],
    ['data: {"error":{"message":"No."}}\n\n', "failure"],
    ["event: error\ndata: x\n\n", "failure"],
    ['data: {"choices":[{"delta":{"content":"{\\"error\\""}}]}\n\n', "data"],
    ['data: {"choices":[\n\n', "nonsense"],
    ["<html>\n\n", "nonsense"],
    ['{"text":"x"}\n\n', "nonsense"],
  ])("%j is %s", (text, kind) => {
    expect(cut("events", text)).toMatchObject([{ kind }]);
  });

  it("is the end of a stream without an empty line too", () => {
    expect(cut("events", "data: [DONE]\n")).toMatchObject([{ kind: "end" }]);
  });
});

describe("the kind of a frame of LLaVA's wire", () => {
  it.each<[string, Frame["kind"]]>([
    ['{"text":"P","error_code":0}\0', "data"],
    ['{"text": "\\"error_code\\": 1}", "error_code": 0}\0', "data"],
    ['{"error_code": 0, "text": "\\"error_code\\": 1}"}\0', "data"],
    ['{"text": "No.", "error_code": 1}\0', "failure"],
    ["\0", "filler"],
    ["<html>\0", "nonsense"],
    ['{"text":"P"', "nonsense"],
  ])("%j is %s", (text, kind) => {
    expect(cut("wire", text)).toMatchObject([{ kind }]);
  });

  it("may have the lines for resuming too", () => {
    const text = `${encodeResumeHead(HEAD)}${encodeResumeTokens([4])}{"text":"P","error_code":0}\0`;
    expect(cut("wire", text)).toMatchObject([{ kind: "data", head: HEAD, tokens: [4] }]);
    expect(textOf(cut("wire", text))).toBe('{"text":"P","error_code":0}\0');
  });
});
