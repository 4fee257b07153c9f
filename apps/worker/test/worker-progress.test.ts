/** Tests the progress comments of a stream before its first token, with x-llava-progress. */
import { parseProgress, type AnswerProgress } from "@llava/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { png } from "@llava/testing/png";
import { MODEL_NAME, startServer, type TestServer } from "./support/worker-server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ concurrency: 1 });
});
afterAll(() => server[Symbol.asyncDispose]());

const IMAGE = `data:image/png;base64,${png(30, 40, [0, 255, 0]).toString("base64")}`;

function ask(fields: object = {}, headers: Record<string, string> = {}): Promise<Response> {
  const content = [
    { type: "image_url", image_url: { url: IMAGE } },
    { type: "text", text: "Tell." },
  ];
  const body = { model: MODEL_NAME, messages: [{ role: "user", content }], stream: true, ...fields };
  return fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

function progressIn(text: string): readonly AnswerProgress[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith(": "))
    .flatMap((line) => parseProgress(line.slice(2)) ?? []);
}

const WANTED = { "x-llava-progress": "1" };

test("places in the queue as they change, then the answer as ever", async () => {
  const held = await server.service.backend.queue.acquire(new AbortController().signal);
  const next = await ask({ max_tokens: 4 }, WANTED);
  const last = await ask({ max_tokens: 4 }, WANTED);
  // The heads of both came with their first place.
  expect([next.status, last.status]).toEqual([200, 200]);
  held[Symbol.dispose]();
  const [first, second] = [await next.text(), await last.text()];
  expect(progressIn(first)[0]).toEqual({ kind: "queued", position: 1, length: 1 });
  expect(progressIn(second)[0]).toEqual({ kind: "queued", position: 2, length: 2 });
  for (const text of [first, second]) expect(text).toMatch(/data: \[DONE\]\n\n$/);
});

test("nothing without the header, and nothing in a whole answer", async () => {
  expect(progressIn(await (await ask({ max_tokens: 4 })).text())).toEqual([]);
  const whole = await ask({ max_tokens: 4, stream: false }, WANTED);
  expect(await whole.json()).toMatchObject({ object: "chat.completion" });
});

test("what is refused is refused before a stream begins", async () => {
  const refused = await ask({ max_tokens: 0 }, WANTED);
  expect(refused.status).toBe(400);
});
