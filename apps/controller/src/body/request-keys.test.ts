import { expect, it } from "vitest";
import { readRelayFields } from "./model-field.ts";
import { requestKeys } from "./request-keys.ts";

const IMAGE = "sha256:" + "ab".repeat(32);

async function keysOf(object: object): Promise<{ imageKeys: readonly string[]; promptKey: string | null }> {
  const body = Buffer.from(JSON.stringify(object));
  return requestKeys(body, readRelayFields(body).promptStart, new AbortController().signal);
}

it("request keys stay the same while a conversation grows, and differ between two", async () => {
  const first = { role: "user", content: "Once upon a time ".repeat(80) };
  const other = { role: "user", content: `No: ${first.content}` };
  const { promptKey } = await keysOf({ model: "m", messages: [first] });
  expect(promptKey).toMatch(/^[\w-]{43}$/);
  const later = {
    temperature: 1,
    model: "m",
    messages: [first, { role: "assistant", content: "x" }],
  };
  expect((await keysOf(later)).promptKey).toBe(promptKey);
  expect((await keysOf({ model: "m", messages: [other] })).promptKey).not.toBe(promptKey);
});

it("request keys are the images alone when the conversation is short", async () => {
  const content = [{ type: "image_url", image_url: { url: IMAGE } }];
  const keys = await keysOf({ model: "m", messages: [{ role: "user", content }] });
  expect(keys).toEqual({ imageKeys: [IMAGE], promptKey: null });
});
