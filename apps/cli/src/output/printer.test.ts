import { LlavaError } from "@llava/protocol";
import { expect, test } from "vitest";
import { printJson, printText, type PrintEvent } from "./printer.ts";

function printed(
  printer: (write: (text: string) => void) => PrintEvent,
  ...events: Parameters<PrintEvent>[0][]
): string {
  let out = "";
  const print = printer((text) => (out += text));
  for (const event of events) print(event);
  return out;
}

const SPACE = { type: "text-delta", text: " ", tokens: [1] } as const;
const RED = { type: "text-delta", text: " red ", tokens: [2] } as const;
const END = {
  type: "finished",
  reason: "stop",
  usage: { promptTokens: 1, imageTokens: 0, cachedTokens: 0, completionTokens: 2 },
  timings: { queueMs: 0, encodeMs: 0, prefillMs: 0, decodeMs: 0, firstTokenMs: 0 },
} as const;
const FAILED = { type: "error", error: new LlavaError("invalid_image", "Not an image.") } as const;

test("words lose the white space before the first one and end with a line", () => {
  expect(printed(printText, SPACE, RED, RED, END)).toBe("red  red \n");
  expect(printed(printText, RED, END, RED, END)).toBe("red \nred \n");
});

test("a failure before the first word prints nothing, one after it ends the line", () => {
  expect(printed(printText, FAILED)).toBe("");
  expect(printed(printText, RED, FAILED)).toBe("red \n");
});

test("JSON lines hold one event each", () => {
  const lines = printed(printJson, RED, END, FAILED).trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    RED,
    END,
    { type: "error", error: { code: "invalid_image", message: "Not an image." } },
  ]);
});
