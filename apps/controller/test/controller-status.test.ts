/** Tests what the controller shows to a scraper, a load balancer and an operator. */
import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import type { Cluster } from "@llava/protocol";
import { ASK, streaming, WHOLE, WORD } from "./support/chat-requests.ts";
import { resumeWorker } from "./support/resume-worker.ts";
import {
  closeAll,
  post,
  register,
  respondJson,
  startController,
  startWorker,
  until,
  type StandIn,
} from "./support/stand-in.ts";

afterEach(closeAll);

const SECRET = "a-word-of-a-client";

/** One value of the metrics page; null when it has no such line. */
async function metric(url: string, name: string): Promise<number | null> {
  const page = await (await fetch(`${url}/metrics`)).text();
  const line = page.split("\n").find((text) => text.startsWith(`${name} `));
  return line === undefined ? null : Number(line.slice(name.length + 1));
}

/** The text of an answer, once it is whole. */
async function answerTo(url: string, body: object, signal: AbortSignal | null = null): Promise<string> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  return response.text();
}

async function sumOf(url: string, name: string): Promise<number> {
  const page = await (await fetch(`${url}/metrics`)).text();
  const lines = page.split("\n").filter((text) => text.startsWith(`${name}{`) || text.startsWith(`${name} `));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

/** The requests that have no response, counted in both ways; a scrape is in flight itself while it counts. */
async function unanswered(url: string): Promise<readonly [number, number]> {
  const page = await (await fetch(`${url}/metrics`)).text();
  const total = (name: string): number =>
    page
      .split("\n")
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  const difference = total("llava_http_requests_total") - total("llava_http_responses_total");
  return [difference, total("llava_http_requests_in_flight")];
}

describe("metrics", () => {
  it("count as many requests in flight as have no response, with answers, refusals and clients that leave", async () => {
    const waiting: ServerResponse[] = [];
    const worker = await startWorker(
      ["m"],
      streaming(WORD, (response) => waiting.push(response)),
    );
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    const clients = Array.from({ length: 6 }, () => new AbortController());
    const answers = clients.map(({ signal }) => answerTo(url, ASK, signal));
    const settled = Promise.allSettled(answers);
    await until(() => waiting.length === 6);
    await post(`${url}/v1/chat/completions`, { ...ASK, model: SECRET });
    await post(`${url}/v1/chat/completions`, "{");
    await post(`${url}/${SECRET}`);
    expect(await unanswered(url)).toEqual([7, 7]);
    expect(await metric(url, `llava_worker_in_flight{worker="${worker.url}"}`)).toBe(6);
    for (const client of clients.slice(0, 3)) client.abort();
    await until(async () => (await unanswered(url))[0] === 4);
    expect(await unanswered(url)).toEqual([4, 4]);
    for (const response of waiting) response.end(WHOLE);
    await settled;
    await until(async () => (await unanswered(url))[0] === 1);
    expect(await unanswered(url)).toEqual([1, 1]);
    expect(await metric(url, 'llava_relays_total{model="m",outcome="ok"}')).toBe(3);
    expect(await metric(url, 'llava_relays_total{model="m",outcome="cancelled"}')).toBe(3);
    expect(await metric(url, 'llava_relays_total{model="none",outcome="no_worker"}')).toBe(1);
    expect(await metric(url, "llava_relay_first_frame_seconds_count")).toBe(6);
    expect(await sumOf(url, "llava_relay_duration_seconds_count")).toBe(7);
    expect(await (await fetch(`${url}/metrics`)).text()).not.toContain(SECRET);
  });

  it("count a worker that refused, the retry, and the worker that answered", async () => {
    const full = await startWorker(["m"], (_request, response) => respondJson(response, 429, {}));
    const free = await startWorker(["m"], streaming(WHOLE));
    const { url } = await startController();
    await register(url, full.url, ["m"]);
    await register(url, free.url, ["m"], { queueLength: 3 });
    await post(`${url}/v1/chat/completions`, ASK);
    expect(await metric(url, `llava_worker_requests_total{worker="${full.url}",outcome="passed_on"}`)).toBe(
      1,
    );
    expect(await metric(url, `llava_worker_requests_total{worker="${free.url}",outcome="ok"}`)).toBe(1);
    expect(await metric(url, "llava_relay_retries_total")).toBe(1);
    expect(await metric(url, "llava_relay_migrations_total")).toBe(0);
  });

  it("count an answer that went on from another worker", async () => {
    const breaks = (position: number, response: ServerResponse): boolean => {
      if (position !== 3) return true;
      setTimeout(() => response.destroy(), 20);
      return false;
    };
    const report = { capabilities: { resume: true } };
    const first = await startWorker(["m"], resumeWorker({ step: breaks }));
    const second = await startWorker(["m"], resumeWorker());
    const { url } = await startController();
    await register(url, first.url, ["m"], { report });
    await register(url, second.url, ["m"], { report, queueLength: 3 });
    await post(`${url}/v1/chat/completions`, ASK);
    expect(await metric(url, "llava_relay_migrations_total")).toBe(1);
    expect(await metric(url, "llava_relay_retries_total")).toBe(0);
    expect(await metric(url, 'llava_relays_total{model="m",outcome="ok"}')).toBe(1);
    expect(await metric(url, `llava_worker_requests_total{worker="${second.url}",outcome="ok"}`)).toBe(1);
  });

  it("show a breaker that opened, and nothing of a worker that is gone", async () => {
    const ill = await startWorker(["m"], (_request, response) =>
      respondJson(response, 500, { error: { message: "It is ill.", code: "out_of_memory" } }),
    );
    const { url } = await startController();
    await register(url, ill.url, ["m"], { checkHeartBeat: false, report: { version: "1.2.3" } });
    const state = `llava_worker_breaker_state{worker="${ill.url}"}`;
    expect(await metric(url, state)).toBe(0);
    for (let time = 0; time < 5; time += 1) await post(`${url}/v1/chat/completions`, ASK);
    expect(await metric(url, state)).toBe(1);
    expect(await metric(url, 'llava_workers{state="ready"}')).toBe(1);
    await closeServer(ill);
    await post(`${url}/refresh_all_workers`);
    expect(await metric(url, 'llava_workers{state="ready"}')).toBe(0);
    expect(await (await fetch(`${url}/metrics`)).text()).not.toContain(ill.url);
  });
});

async function closeServer({ server }: StandIn): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

describe("readiness", () => {
  it("begins with the first worker that can serve, and ends with the last", async () => {
    const worker = await startWorker(["m"], streaming(WHOLE));
    const { url } = await startController();
    const ready = async (): Promise<number> => (await fetch(`${url}/ready`)).status;
    const response = await fetch(`${url}/ready`);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: "no_worker" } });
    expect((await fetch(`${url}/health`)).status).toBe(200);
    await register(url, worker.url, ["m"]);
    expect(await ready()).toBe(200);
    await register(url, worker.url, ["m"], { report: { state: "draining" } });
    expect(await ready()).toBe(503);
  });

  it("ends while the breaker of the only worker is open", async () => {
    const worker = await startWorker(["m"], (_request, response) => void response.destroy());
    const { url } = await startController();
    const known = { checkHeartBeat: false };
    await register(url, worker.url, ["m"], known);
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    await until(async () => {
      await register(url, worker.url, ["m"], known);
      await post(`${url}/v1/chat/completions`, { model: "m", messages: [] });
      await register(url, worker.url, ["m"], known);
      return (await fetch(`${url}/ready`)).status === 503;
    });
  });
});

describe("/workers", () => {
  it("shows what is known about each worker, and null for what is not", async () => {
    const ours = await startWorker(["m", "n"], streaming(WHOLE));
    const original = await startWorker(["m"], streaming(WHOLE));
    const { url } = await startController();
    const load = { running: 1, waiting: 2, max_running: 4, max_waiting: 8 };
    const report = { worker_id: "box-40000", load, version: "1.2.3", uptime_s: 90, tokens_per_s: 12.5 };
    await register(url, ours.url, ["m", "n"], { queueLength: 3, report });
    await register(url, original.url, ["m"], { speed: 2, checkHeartBeat: false });
    const body: unknown = await (await fetch(`${url}/workers`)).json();
    expect(body).toMatchObject({
      controller: { version: expect.stringMatching(/^\d+\.\d+\.\d+/), streams: 0 },
      data: [
        {
          address: ours.url,
          worker_id: "box-40000",
          models: ["m", "n"],
          state: "ready",
          breaker: "closed",
          queue_length: 3,
          in_flight: 0,
          running: 1,
          waiting: 2,
          max_running: 4,
          tokens_per_s: 12.5,
          uptime_s: expect.any(Number),
          heartbeat_age_s: expect.any(Number),
          version: "1.2.3",
        },
        {
          address: original.url,
          speed: 2,
          running: null,
          tokens_per_s: null,
          uptime_s: null,
          version: null,
          heartbeat_age_s: null,
        },
      ],
    });
  });
});

describe("GET /cluster", () => {
  async function clusterOf(url: string): Promise<Cluster> {
    return (await (await fetch(`${url}/cluster`)).json()) as Cluster;
  }

  it("shows workers that joined and left, and an answer that went on elsewhere", async () => {
    const dies = (at: number, response: ServerResponse): boolean => {
      if (at === 3) response.destroy();
      return at !== 3;
    };
    const first = await startWorker(["m"], resumeWorker({ step: dies, stepMs: 20 }));
    const second = await startWorker(["m"], resumeWorker());
    const { url } = await startController();
    const report = { capabilities: { resume: true } };
    await register(url, first.url, ["m"], { report });
    await register(url, second.url, ["m"], { queueLength: 5, report });
    const ask = { model: "m", messages: [{ role: "user", content: SECRET }], stream: true };
    expect((await post(`${url}/v1/chat/completions`, ask)).status).toBe(200);
    const { events, workers, totals } = await clusterOf(url);
    expect(workers.map(({ address }) => address)).toContain(second.url);
    expect(events).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ kind: "joined", worker: first.url, models: ["m"] }),
        expect.objectContaining({ kind: "lost", worker: first.url, reason: "connection" }),
        expect.objectContaining({
          kind: "moved",
          worker: first.url,
          to: second.url,
          model: "m",
          code: "worker_lost",
        }),
      ]),
    );
    expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => events.length - index));
    expect(totals.waiting).toBeGreaterThanOrEqual(0);
  });

  it("counts tokens, requests, failures and the time to the first text, second by second", async () => {
    const worker = await startWorker(["m"], resumeWorker());
    const { url } = await startController();
    await register(url, worker.url, ["m"], { report: { capabilities: { resume: true } } });
    const ask = { model: "m", messages: [{ role: "user", content: SECRET }], stream: true };
    for (let i = 0; i < 3; i++) await post(`${url}/v1/chat/completions`, ask);
    await post(`${url}/v1/chat/completions`, { ...ask, model: "other" });
    await until(async () => (await clusterOf(url)).totals.requests === 4);
    const { series, totals } = await clusterOf(url);
    const seconds = series["5m"];
    expect(seconds.tokens_per_s.reduce((sum, each) => sum + each, 0)).toBe(3 * 12);
    expect(totals).toMatchObject({ requests: 4, errors: 1, first_word_p50_s: expect.any(Number) });
    for (const row of [seconds.running, seconds.waiting, seconds.requests, seconds.first_word_p95_s])
      expect(row).toHaveLength(seconds.tokens_per_s.length);
  });

  it("shows the requests without a first text and since when, the first twenty one by one", async () => {
    const held: ServerResponse[] = [];
    const worker = await startWorker(["m"], (request, response) => {
      request.resume();
      held.push(response);
    });
    const { url } = await startController();
    await register(url, worker.url, ["m"], { checkHeartBeat: false });
    const leaving = new AbortController();
    const answers = [answerTo(url, { ...ASK, stream: false })];
    await until(() => held.length === 1);
    const left = answerTo(url, ASK, leaving.signal).catch(() => "left");
    answers.push(
      ...Array.from({ length: 20 }, () => answerTo(url, ASK)),
      answerTo(url, { ...ASK, model: SECRET }),
    );
    await until(() => held.length === 22);
    const { unanswered } = await clusterOf(url);
    const waiting = { model: "m", worker: worker.url, waited_s: expect.any(Number) };
    expect(unanswered.total).toBe(22);
    expect(unanswered.oldest).toHaveLength(20);
    expect(unanswered.oldest[0]).toEqual({ ...waiting, stream: false });
    expect(unanswered.oldest[1]).toEqual({ ...waiting, stream: true });
    expect(unanswered.oldest[0]?.waited_s).toBeGreaterThanOrEqual(unanswered.oldest[19]?.waited_s ?? NaN);

    leaving.abort();
    expect(await left).toBe("left");
    await until(async () => (await clusterOf(url)).unanswered.total === 21);
    await until(() => held.some(({ destroyed }) => destroyed));
    const speaking = held.find((response) => !response.destroyed && response !== held[0]);
    speaking?.writeHead(200, { "content-type": "text/event-stream" }).write(WORD);
    await until(async () => (await clusterOf(url)).unanswered.total === 20);
    respondJson(held[0]!, 200, {});
    await until(async () => (await clusterOf(url)).unanswered.total === 19);
    for (const response of held) response.destroy();
    await Promise.allSettled(answers);
    await until(async () => (await clusterOf(url)).unanswered.total === 0);
  });

  it("has no text of a request or an answer in it", async () => {
    const worker = await startWorker(["m"], streaming(WHOLE));
    const { url } = await startController();
    await register(url, worker.url, ["m"]);
    await post(`${url}/v1/chat/completions`, { ...ASK, messages: [{ role: "user", content: SECRET }] });
    const text = await (await fetch(`${url}/cluster`)).text();
    expect(text).not.toContain(SECRET);
    expect(text).not.toContain(WORD);
  });
});
