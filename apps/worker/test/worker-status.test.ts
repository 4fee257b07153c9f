/** A worker as a scraper, a load balancer and an operator see it, with the real engine. */
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { buildApp } from "../src/worker-app.ts";
import { WorkerService } from "../src/service/worker-service.ts";
import { png } from "@llava/testing/png";
import { MODEL_NAME, startServer, type TestServer } from "./support/worker-server.ts";

const LABELS = `{model_name="${MODEL_NAME}"}`;
const THEIRS = `{model_name="${MODEL_NAME}",engine="0"}`;

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ concurrency: 1 });
});
afterAll(() => server[Symbol.asyncDispose]());

async function metric(name: string): Promise<number | null> {
  const page = await (await fetch(`${server.url}/metrics`)).text();
  const line = page.split("\n").find((text) => text.startsWith(`${name} `));
  return line === undefined ? null : Number(line.slice(name.length + 1));
}

function question(body: object = {}, text = "What is it?"): object {
  return {
    model: MODEL_NAME,
    messages: [{ role: "user", content: text }],
    temperature: 0,
    max_tokens: 7,
    ...body,
  };
}

function imageQuestion(text: string, image: Buffer): object {
  const url = `data:image/png;base64,${image.toString("base64")}`;
  const content = [
    { type: "text", text },
    { type: "image_url", image_url: { url } },
  ];
  return question({ messages: [{ role: "user", content }] });
}

/** A stream of which the first words have been read. */
async function startLong(client: AbortController): Promise<void> {
  const body = question({ stream: true, max_tokens: 800 });
  const response = await server.post("/v1/chat/completions", body, { signal: client.signal });
  await response.body?.getReader().read();
}

describe("metrics", () => {
  test("count what was answered, in tokens, images and times, under vLLM's names too", async () => {
    const before = (await metric(`llava_generation_tokens_total${LABELS}`)) ?? 0;
    await (await server.post("/v1/chat/completions", question())).json();
    await (await server.post("/v1/chat/completions", imageQuestion("What?", png(8, 8, [255, 0, 0])))).json();
    await (await server.post("/v1/chat/completions", question({ stream: true }))).text();
    expect(await metric(`llava_requests_finished_total{model_name="${MODEL_NAME}",outcome="length"}`)).toBe(
      3,
    );
    expect(await metric(`llava_generation_tokens_total${LABELS}`)).toBe(before + 21);
    expect(await metric(`vllm:generation_tokens_total${THEIRS}`)).toBe(before + 21);
    expect(await metric(`llava_images_total${LABELS}`)).toBe(1);
    expect(await metric(`llava_image_tokens_total${LABELS}`)).toBe(server.model.tokensPerImage);
    expect(await metric(`llava_cached_prompt_tokens_total${LABELS}`)).toBeGreaterThan(0);
    expect(await metric(`llava_image_encode_seconds_count${LABELS}`)).toBe(1);
    expect(await metric(`llava_image_decode_seconds_count${LABELS}`)).toBe(1);
    for (const name of [
      "time_to_first_token_seconds",
      "e2e_request_latency_seconds",
      "request_queue_time_seconds",
    ]) {
      expect(await metric(`llava_${name}_count${LABELS}`)).toBe(3);
      expect(await metric(`vllm:${name}_count${THEIRS}`)).toBe(3);
    }
    expect(await metric(`vllm:inter_token_latency_seconds_count${THEIRS}`)).toBe(18);
    expect(
      await metric(
        `vllm:request_success_total{model_name="${MODEL_NAME}",engine="0",finished_reason="length"}`,
      ),
    ).toBe(3);
    // As vLLM cuts them, or its dashboards are empty.
    expect(
      await metric(
        `vllm:time_to_first_token_seconds_bucket{le="0.001",model_name="${MODEL_NAME}",engine="0"}`,
      ),
    ).toBe(0);
    expect(await metric(`llava_event_loop_delay_seconds{quantile="0.99"}`)).toBeGreaterThanOrEqual(0);
  });

  test("what runs and waits is there while it does, and zero after its client left", async () => {
    const client = new AbortController();
    await startLong(client);
    const waiting = server.post("/v1/chat/completions", question());
    await vi.waitFor(async () => expect(await metric(`vllm:num_requests_waiting${THEIRS}`)).toBe(1));
    expect(await metric(`llava_requests_running${LABELS}`)).toBe(1);
    expect(await metric(`vllm:kv_cache_usage_perc${THEIRS}`)).toBeGreaterThan(0);
    client.abort();
    await (await waiting).json();
    await vi.waitFor(async () => expect(await metric(`llava_requests_running${LABELS}`)).toBe(0));
    expect(await metric(`vllm:num_requests_waiting${THEIRS}`)).toBe(0);
    expect(await metric(`vllm:kv_cache_usage_perc${THEIRS}`)).toBe(0);
    expect(
      await metric(`llava_requests_finished_total{model_name="${MODEL_NAME}",outcome="cancelled"}`),
    ).toBe(1);
  });

  test("a model that is asked for and not served is no label", async () => {
    await server.post("/v1/chat/completions", question({ model: "a-strangers-model" }));
    await server.post("/a-strangers-path", {});
    const page = await (await fetch(`${server.url}/metrics`)).text();
    expect(page).not.toContain("a-strangers");
  });
});

describe("slots and properties", () => {
  test("a slot says how far its answer is; without a free one ?fail_on_no_slot=1 is 503", async () => {
    const slots = async (query = ""): Promise<Response> => await fetch(`${server.url}/slots${query}`);
    const idle = [{ id: 0, n_ctx: server.model.contextLength, speculative: false, is_processing: false }];
    expect(await (await slots("?fail_on_no_slot=1")).json()).toEqual(idle);
    const client = new AbortController();
    await startLong(client);
    const [slot] = (await (await slots()).json()) as [
      { next_token: { n_decoded: number; n_remain: number } },
    ];
    expect(slot).toMatchObject({ id: 0, is_processing: true, next_token: { has_next_token: true } });
    expect(slot.next_token.n_decoded).toBeGreaterThan(0);
    expect(slot.next_token.n_decoded + slot.next_token.n_remain).toBe(800);
    const full = await slots("?fail_on_no_slot=1");
    expect(full.status).toBe(503);
    expect(full.headers.get("retry-after")).toBe("1");
    expect(await full.json()).toMatchObject({ error: { code: "overloaded" } });
    client.abort();
    await vi.waitFor(async () => expect(await (await slots()).json()).toEqual(idle));
  });

  test("properties are llama-server's as far as they mean something, and tell no path", async () => {
    const text = await (await fetch(`${server.url}/props`)).text();
    expect(JSON.parse(text)).toMatchObject({
      default_generation_settings: { n_ctx: server.model.contextLength },
      total_slots: 1,
      model_alias: MODEL_NAME,
      modalities: { vision: true, audio: false },
      media_marker: "<image>",
      build_info: expect.stringMatching(/^llava \d+\.\d+\.\d+/),
    });
    expect(text).not.toMatch(/[/\\]/);
  });
});

describe("health", () => {
  test("while the model is loaded it is 503 with the progress, and every request says so", async () => {
    const service = new WorkerService({ modelName: MODEL_NAME });
    const app = buildApp(service, pino({ level: "silent" }));
    const url = await app.listen({ host: "127.0.0.1", port: 0 });
    try {
      service.loadProgress = { phase: "weights", done: 1, total: 4 };
      const health = await fetch(`${url}/health`);
      expect(health.status).toBe(503);
      expect(health.headers.get("retry-after")).toBe("1");
      expect(await health.json()).toMatchObject({
        status: "loading",
        progress: { phase: "weights", done: 1, total: 4 },
        error: { code: "loading", type: "server_error", message: expect.stringContaining("1 of 4") },
      });
      for (const path of ["/ready", "/props", "/slots", "/v1/models"]) {
        const response = await fetch(url + path);
        expect([path, response.status]).toEqual([path, 503]);
        expect(await response.json()).toMatchObject({ error: { code: "loading" } });
      }
      const headers = { "content-type": "application/json" };
      for (const path of ["/v1/chat/completions", "/worker_get_status"]) {
        const response = await fetch(url + path, {
          method: "POST",
          headers,
          body: JSON.stringify(question()),
        });
        expect([path, response.status]).toEqual([path, 503]);
      }
      expect((await fetch(`${url}/metrics`)).status).toBe(200);
      service.open(server.service.backend);
      expect(await (await fetch(`${url}/ready`)).json()).toEqual({ status: "ready", model: MODEL_NAME });
      expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: "ok", running: 0 });
      service.announceDrain();
      const draining = await fetch(`${url}/health`);
      expect(draining.status).toBe(503);
      expect(await draining.json()).toMatchObject({ status: "draining", error: { code: "shutting_down" } });
      expect((await fetch(`${url}/ready`)).status).toBe(503);
    } finally {
      await app.close();
    }
  });
});

describe("the log", () => {
  const CANARY = "canary-7f3a9";

  /** All the ways in which a request's words come into this server, right and wrong. */
  async function sing(post: TestServer["post"]): Promise<void> {
    const image = Buffer.concat([png(8, 8, [1, 2, 3]), Buffer.from(CANARY)]);
    const bodies: readonly (readonly [string, object])[] = [
      ["/v1/chat/completions", question({}, `Say ${CANARY}.`)],
      ["/v1/chat/completions", question({ stream: true }, `Say ${CANARY}.`)],
      ["/v1/chat/completions", imageQuestion(`Say ${CANARY}.`, image)],
      ["/v1/chat/completions", imageQuestion("What?", Buffer.from(CANARY))],
      ["/v1/chat/completions", question({ messages: [{ role: CANARY, content: CANARY }] })],
      ["/v1/chat/completions", question({ messages: CANARY, [CANARY]: CANARY })],
      ["/v1/chat/completions", question({}, `${CANARY} `.repeat(2_000))],
      ["/v1/completions", { model: MODEL_NAME, prompt: `Once ${CANARY}`, max_tokens: 3 }],
      [
        "/worker_generate_stream",
        { model: MODEL_NAME, prompt: `USER: ${CANARY} ASSISTANT:`, max_new_tokens: 3 },
      ],
      ["/worker_generate_stream", { model: MODEL_NAME, prompt: { [CANARY]: CANARY } }],
    ];
    for (const [path, body] of bodies) await (await post(path, body)).text();
    // What is no JSON, which a parser likes to quote.
    await (await post("/v1/chat/completions", null, { body: `{"${CANARY}": ${CANARY}}` })).text();
  }

  test("has no word of a prompt and no byte of an image at any level", async () => {
    await sing((path, body, init) => server.post(path, body, init));
    const lines = server.logged();
    expect(lines.split("\n").filter((line) => line.includes('"request"')).length).toBeGreaterThan(7);
    expect(lines).not.toContain(CANARY);
    expect(lines).not.toContain(Buffer.from(CANARY).toString("base64").slice(0, 12));
    expect(lines).not.toContain("iVBOR");
  });

  test("with --log-prompts has the prompt, shortened, and no image", async () => {
    let lines = "";
    const log = pino({ level: "trace" }, { write: (line: string) => (lines += line) });
    const { backend } = server.service;
    const service = new WorkerService({ backend, modelName: MODEL_NAME, logsPrompts: true });
    const app = buildApp(service, log);
    const url = await app.listen({ host: "127.0.0.1", port: 0 });
    const headers = { "content-type": "application/json" };
    try {
      await sing((path, body, init) =>
        fetch(url + path, { method: "POST", headers, body: JSON.stringify(body), ...init }),
      );
    } finally {
      await app.close();
    }
    expect(lines).toContain(`user: Say ${CANARY}.`);
    expect(lines).toContain(`Once ${CANARY}`);
    expect(lines).not.toContain("iVBOR");
    expect(Math.max(...lines.split("\n").map((line) => Buffer.byteLength(line)))).toBeLessThan(16 << 10);
  });
});
