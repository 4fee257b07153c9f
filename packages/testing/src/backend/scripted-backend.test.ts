import type { BackendRequest, ChoiceEvent } from "@llava/backend";
import { LlavaError } from "@llava/protocol";
import { describe, expect, test } from "vitest";
import { ScriptedBackend } from "./scripted-backend.ts";

const ASK: BackendRequest = { prompt: { text: "Why?" }, images: [], seed: 5, maxTokens: 10 };
const never = new AbortController().signal;

function events(backend: ScriptedBackend, request: BackendRequest): Promise<ChoiceEvent[]> {
  return Array.fromAsync(backend.generate(request, never));
}

function tokensOf(all: readonly ChoiceEvent[]): readonly number[] {
  return all.flatMap(({ event }) => (event.type === "text-delta" ? event.tokens : []));
}

describe("ScriptedBackend", () => {
  test("an answer is a function of prompt, images and seed", async () => {
    await using backend = new ScriptedBackend({ stepMs: 0 });
    const answer = tokensOf(await events(backend, ASK));
    expect(answer).toHaveLength(10);
    expect(tokensOf(await events(backend, ASK))).toEqual(answer);
    for (const change of [{ seed: 6 }, { prompt: { text: "Why??" } }])
      expect(tokensOf(await events(backend, { ...ASK, ...change }))).not.toEqual(answer);
  });

  test("a resumed answer goes on as if it had not been interrupted, its usage included", async () => {
    await using backend = new ScriptedBackend({ stepMs: 0 });
    const whole = await events(backend, ASK);
    const tokens = tokensOf(whole);
    const rest = await events(backend, { ...ASK, resume: { tokens: tokens.slice(0, 4) } });
    expect(tokensOf(rest)).toEqual(tokens.slice(4));
    expect(rest.at(-1)).toMatchObject({ event: { type: "finished", usage: { completionTokens: 10 } } });
  });

  test("a failure at a position ends the answer with its error, and the place is free again", async () => {
    const failure = new LlavaError("runtime_failure", "The card fell out.");
    await using backend = new ScriptedBackend({
      stepMs: 0,
      failAt: (_request, position) => (position === 3 ? failure : null),
    });
    const all = await events(backend, ASK);
    expect(tokensOf(all)).toHaveLength(3);
    expect(all.at(-1)).toEqual({ index: 0, event: { type: "error", error: failure } });
    expect([backend.queue.running, backend.occupancy.running]).toEqual([0, 0]);
  });

  test("an abort ends an answer between two tokens with cancelled", async () => {
    await using backend = new ScriptedBackend({ stepMs: 5 });
    const client = new AbortController();
    const all: ChoiceEvent[] = [];
    for await (const each of backend.generate({ ...ASK, maxTokens: 500 }, client.signal)) {
      all.push(each);
      if (all.length === 2) client.abort();
    }
    expect(tokensOf(all)).toHaveLength(2);
    expect(all.at(-1)).toMatchObject({ event: { type: "error", error: { code: "cancelled" } } });
  });
});
