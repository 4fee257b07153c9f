/** Gets the file that the controller receives for an attached image. */
import type { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

import { expect } from "vitest";

import type { ControllerStage, Exchange } from "./controller-stage.ts";
import type { Visit } from "./visit.ts";

/** Asks about the attached image and returns the file that arrived. */
export async function sentImage(
  visit: Visit,
  stage: ControllerStage,
): Promise<{ readonly mediaType: string; readonly bytes: Buffer }> {
  const asked: Promise<Exchange> = stage.next();
  await visit.send("What is this?");
  const exchange = await asked;
  exchange.begin().say("A picture.").finish();
  const part = exchange.request.messages.at(-1)?.content[0];
  if (part?.type !== "image_reference") throw new Error("No picture was sent.");
  const bytes = stage.blobs.get(part.key);
  if (bytes === undefined) throw new Error("The picture was not uploaded.");
  expect(part.key).toBe(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
  return { mediaType: bytes[0] === 0xff ? "image/jpeg" : "image/png", bytes };
}

/** Width and height from a JPEG's frame header. */
export function jpegSize(bytes: Buffer): { width: number; height: number } {
  for (let at = 2; at < bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    const marker = bytes.readUInt16BE(at);
    if (marker === 0xffc0 || marker === 0xffc2) {
      return { height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) };
    }
  }
  throw new Error("The JPEG has no frame.");
}
