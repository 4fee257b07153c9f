/** Tests F03 to F06: slow, sliced, cut, reset and blackholed connections of clients and of workers. */
import { setTimeout as sleep } from "node:timers/promises";
import { readBody, readChatStream } from "@llava/protocol";
import { afterEach, describe, expect, it } from "vitest";
import { seeded, wholeFrom } from "../../../../scripts/support/seeded-random.ts";
import {
  startTcpProxy,
  CONNECTION_FAULTS,
  type TcpProxy,
} from "../../../../scripts/faults/fleet/tcp-proxy.ts";
import { numStreams } from "../support/chat-requests.ts";
import { resumeWorker, textOf, type ResumeWorkerOptions } from "../support/resume-worker.ts";
import {
  closeAll,
  closeLater,
  modelsOf,
  post,
  register,
  startController,
  startWorker,
  until,
  type StandIn,
} from "../support/stand-in.ts";

afterEach(closeAll);

const LENGTH = 30;
const RESUMING = { capabilities: { resume: true } };
const SEED = 20_261_123;

async function proxyTo(target: string): Promise<TcpProxy> {
  const proxy = await startTcpProxy(target, SEED);
  closeLater(async () => proxy[Symbol.asyncDispose]());
  return proxy;
}

interface ReceivedAnswer {
  readonly text: string;
  /** How it ended: its finish reason, or the code of its error. */
  readonly ending: string;
}

async function ask(
  url: string,
  seed: number,
  onText: (numTexts: number) => void = () => {},
): Promise<ReceivedAnswer> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", messages: [], stream: true, seed, max_tokens: LENGTH }),
  });
  let text = "";
  let ending = "";
  let numTexts = 0;
  for await (const event of readChatStream(readBody(response.body))) {
    if (event.type === "text-delta") text += event.text;
    if (event.type === "text-delta") onText((numTexts += 1));
    if (event.type === "finished") ending = event.reason;
    if (event.type === "error") ending = event.error.code;
  }
  return { text, ending };
}

/** A controller with a worker behind a proxy, which is asked first, and perhaps a second one without a proxy. */
async function startPair({
  hasSecond = true,
  ...options
}: ResumeWorkerOptions & { readonly hasSecond?: boolean } = {}): Promise<{
  readonly url: string;
  readonly proxy: TcpProxy;
  readonly first: StandIn;
}> {
  const first = await startWorker(["m"], resumeWorker(options));
  const proxy = await proxyTo(first.url);
  const { url } = await startController({ limits: { idleMs: 1_000 } });
  await register(url, proxy.url, ["m"], { report: RESUMING });
  if (!hasSecond) return { url, proxy, first };
  const second = await startWorker(["m"], resumeWorker());
  await register(url, second.url, ["m"], { queueLength: 50, report: RESUMING });
  return { url, proxy, first };
}

describe("latency, jitter and slices in both directions", () => {
  it("change nothing but the time", async () => {
    const worker = await startWorker(["m"], resumeWorker());
    const inner = await proxyTo(worker.url);
    const { url } = await startController({ limits: { idleMs: 10_000 } });
    const outer = await proxyTo(url);
    await register(url, inner.url, ["m"], { report: RESUMING });
    inner.setConditions({ latencyMs: 5, jitterMs: 10, sliceBytes: 100 });
    outer.setConditions({ latencyMs: 5, jitterMs: 10, sliceBytes: 30 });
    const seeds = [1, 2, 3];
    const answers = await Promise.all(seeds.map((seed) => ask(outer.url, seed)));
    expect(answers).toEqual(seeds.map((seed) => ({ text: textOf(seed, LENGTH), ending: "length" })));
    expect(await modelsOf(url)).toEqual({ models: ["m"] });
  });
});

describe("between controller and worker", () => {
  const random = seeded(SEED);
  // An answer of 30 words takes some 6 kB on this connection.
  const places = CONNECTION_FAULTS.flatMap((fault) =>
    Array.from(
      { length: fault === "blackhole" ? 2 : 4 },
      () => [fault, wholeFrom(random, 0, 6_000)] as const,
    ),
  );

  it.each(places)("a %s after %i bytes is not seen while there is another worker", async (fault, bytes) => {
    const { url, proxy, first } = await startPair();
    proxy.setConditions({ after: { bytes, fault }, sliceBytes: 100 });
    expect(await ask(url, 9)).toEqual({ text: textOf(9, LENGTH), ending: "length" });
    await until(async () => (await numStreams(url)) === 0);
    proxy.setConditions({});
    proxy.heal();
    await until(async () => (await numConnections(first)) === 0);
  });

  it.each([...CONNECTION_FAULTS])("a %s is an error event when there is no other", async (fault) => {
    const { url, proxy } = await startPair({ hasSecond: false, stepMs: 5 });
    const struckMs: number[] = [];
    const answer = await ask(url, 9, (numTexts) => {
      if (numTexts !== 5) return;
      proxy.inject(fault);
      struckMs.push(performance.now());
    });
    // A blackhole is noticed when the silence is too long; the second here is for a busy machine.
    const leastMs = fault === "blackhole" ? 1_000 : 0;
    expect(performance.now() - (struckMs[0] ?? 0)).toBeLessThan(leastMs + 3_000 + 1_000);
    expect(answer.ending).toBe("worker_lost");
    expect(textOf(9, LENGTH).startsWith(answer.text)).toBe(true);
    expect(answer.text).not.toBe("");
    await until(async () => (await numStreams(url)) === 0);
  });

  it("a worker whose connections fail is passed over, and comes back with a heartbeat", async () => {
    const { url, proxy, first } = await startPair();
    proxy.refuse();
    expect(await ask(url, 9)).toEqual({ text: textOf(9, LENGTH), ending: "length" });
    expect(first.asked).toEqual([]);
    await proxy.admit();
    await register(url, proxy.url, ["m"], { report: RESUMING });
    expect(await ask(url, 9)).toMatchObject({ ending: "length" });
    expect(first.asked).toContain("/v1/chat/completions");
  });

  it("a blackhole that begins while many requests wait does not delay the others", async () => {
    const { url, proxy } = await startPair({ stepMs: 2 });
    const answers = [ask(url, 1), ask(url, 2), ask(url, 3)];
    await until(() => proxy.numOpen > 0);
    proxy.inject("blackhole");
    answers.push(ask(url, 4), ask(url, 5));
    for (const [index, answer] of (await Promise.all(answers)).entries()) {
      expect(answer).toEqual({ text: textOf(index + 1, LENGTH), ending: "length" });
    }
  });
});

describe("between client and controller", () => {
  it.each(["cut", "reset"] as const)("a %s ends the worker's request and frees its slot", async (fault) => {
    let numClosed = 0;
    const worker = await startWorker(["m"], (request, response) => {
      response.once("close", () => (numClosed += 1));
      resumeWorker({ stepMs: 5 })(request, response);
    });
    const { url } = await startController();
    await register(url, worker.url, ["m"], { report: RESUMING });
    const proxy = await proxyTo(url);
    const answer = await ask(proxy.url, 9, (numTexts) => {
      if (numTexts === 3) proxy.inject(fault);
    });
    expect(answer.ending).toBe("worker_lost");
    await until(async () => numClosed === 1 && (await numStreams(url)) === 0);
    expect(await ask(url, 9)).toEqual({ text: textOf(9, LENGTH), ending: "length" });
  });

  it("a blackholed client is closed after a while, and its worker is held back until then", async () => {
    let numSaid = 0;
    let isClosed = false;
    const line = `data: ${JSON.stringify({ choices: [{ delta: { content: "x".repeat(50_000) } }] })}\n\n`;
    const worker = await startWorker(["m"], (request, response) => {
      request.resume();
      response.once("close", () => (isClosed = true));
      response.writeHead(200, { "content-type": "text/event-stream" });
      const fill = (): void => {
        while (!response.destroyed && response.write(line)) numSaid += 1;
      };
      response.on("drain", fill);
      fill();
    });
    const { url } = await startController({ limits: { readerStallMs: 1_000 } });
    await register(url, worker.url, ["m"]);
    const proxy = await proxyTo(url);
    proxy.setConditions({ after: { bytes: 200_000, fault: "blackhole" } });
    const left = new AbortController();
    const body = JSON.stringify({ model: "m", messages: [], stream: true });
    const response = await fetch(`${proxy.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      signal: left.signal,
      body,
    });
    await until(() => isClosed);
    // The systems' own buffers take some MB; beyond them and one chunk nothing was read from the worker.
    expect(numSaid * line.length).toBeLessThan(64 << 20);
    await until(async () => (await numStreams(url)) === 0);
    left.abort();
    await response.body?.cancel().catch(() => undefined);
    expect((await post(`${url}/list_models`)).text).toBe('{"models":["m"]}');
  });
});

async function numConnections({ server }: StandIn): Promise<number> {
  await sleep(20);
  return new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
  );
}
