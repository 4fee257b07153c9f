/** A worker with the scripted backend: the whole OpenAI suite and LLaVA's wire without the engine of this repository. */
import type { BackendCapabilities } from "@llava/backend";
import { describeLlavaWire } from "@llava/testing/llava-wire-suite";
import { describeOpenAi, type OpenAiStage } from "@llava/testing/openai-suite";
import { png } from "@llava/testing/png";
import { ScriptedBackend, type ScriptedBackendOptions } from "@llava/testing/scripted-backend";
import { LlavaError } from "@llava/protocol";
import { afterAll, describe, expect, test } from "vitest";
import { serveBackend, type TestServer } from "./support/worker-server.ts";

const MODEL = "scripted";
const servers: TestServer[] = [];
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
});

async function start(options: ScriptedBackendOptions = {}): Promise<TestServer> {
  const server = await serveBackend(new ScriptedBackend({ name: MODEL, ...options }));
  servers.push(server);
  return server;
}

async function startStage(capabilities: Partial<BackendCapabilities> = {}): Promise<OpenAiStage> {
  const server = await start({ capabilities });
  const narrow = await start({ limits: { concurrency: 1, maxWaiting: 0 } });
  const mortal = await start();
  return {
    url: server.url,
    model: MODEL,
    tokensPerImage: server.model.tokensPerImage,
    image: `data:image/png;base64,${png(30, 40, [0, 255, 0]).toString("base64")}`,
    running: () => server.service.load.running,
    narrow: {
      url: narrow.url,
      occupy: () => narrow.service.backend.queue.acquire(new AbortController().signal),
    },
    mortal: { url: mortal.url, abort: () => mortal.service.abort() },
  };
}

describe("with all capabilities", () => {
  describeOpenAi(() => startStage());
});

describe("with few capabilities, whose tests are skipped", () => {
  const none = { logprobs: false, several_choices: false, json_mode: false, penalties: false };
  describeOpenAi(
    () => startStage({ ...none, text_completion: false, system_message: false, several_images: false }),
    [
      "logprobs",
      "several_choices",
      "json_mode",
      "penalties",
      "text_completion",
      "system_message",
      "several_images",
    ],
  );
});

describeLlavaWire(async () => {
  const server = await start();
  return { url: server.url, model: MODEL, incarnation: server.service.incarnation, ...server.model };
});

describe("a backend with few capabilities", () => {
  const url = "/v1/chat/completions";
  const messages = [{ role: "user", content: "Why?" }];
  const ask = { model: MODEL, messages, max_tokens: 3 };

  test("is refused by the field's name what it lacks, and its card lists it as false", async () => {
    const capabilities = { logprobs: false, several_choices: false, json_mode: false, seed: false };
    const server = await start({ capabilities });
    for (const [field, fields] of [
      ["logprobs", { logprobs: true }],
      ["n", { n: 2 }],
      ["seed", { seed: 4 }],
      ["response_format", { response_format: { type: "json_object" }, stream: true }],
    ] as const) {
      const refusal = await server.post(url, { ...ask, ...fields });
      expect([refusal.status, await refusal.json()]).toMatchObject([
        400,
        { error: { code: "invalid_request", param: field } },
      ]);
    }
    expect((await server.post(url, ask)).status).toBe(200);
    const models: unknown = await (await fetch(`${server.url}/v1/models`)).json();
    expect(models).toMatchObject({ data: [{ capabilities: { ...capabilities, penalties: true } }] });
  });

  test("has no occlusion maps, and cannot be resumed where its report has resume false", async () => {
    const server = await start({ capabilities: { resume: false } });
    const image_url = { url: `data:image/png;base64,${png(8, 8, [1, 2, 3]).toString("base64")}` };
    const content = [{ type: "image_url", image_url }];
    const map = {
      model: MODEL,
      messages: [{ role: "user", content }],
      answer: "It is red.",
      start: 6,
      end: 9,
    };
    const refusal = await server.post("/v1/occlusion_maps", map);
    expect([refusal.status, await refusal.json()]).toMatchObject([
      400,
      { error: { code: "invalid_request" } },
    ]);
    const status: unknown = await (await server.post("/worker_get_status", {})).json();
    expect(status).toMatchObject({ capabilities: { resume: false, blobs: true } });
  });

  test("fails in the middle of a stream with the backend's own error", async () => {
    const failure = new LlavaError("runtime_failure", "The card fell out.");
    const server = await start({ failAt: (_request, position) => (position === 2 ? failure : null) });
    const text = await (await server.post(url, { ...ask, stream: true })).text();
    expect(text).toContain('"code":"runtime_failure"');
    expect(text).not.toContain("[DONE]");
    expect(server.service.load).toEqual({ running: 0, waiting: 0 });
  });
});
