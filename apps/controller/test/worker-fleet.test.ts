/** Tests workers that register, send heartbeats, drain, restart and crash, over real HTTP. */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { parseErrorBody, type WorkerReport } from "@llava/protocol";
import { pino } from "pino";
import { afterEach, describe, expect, it } from "vitest";
import { ClusterHistory } from "../src/history/cluster-history.ts";
import { Fleet } from "../src/fleet/fleet.ts";
import { Registry } from "../src/registry/registry.ts";
import { WorkerClient } from "../src/fleet/worker-client.ts";
import { ASK, eventsOf, numStreams, streaming, WHOLE, WORD } from "./support/chat-requests.ts";
import {
  closeAll,
  closeLater,
  deadAddress,
  modelsOf,
  post,
  register,
  startController,
  startWorker,
  until,
} from "./support/stand-in.ts";

afterEach(closeAll);

const IMAGE = Buffer.from("an image");
const KEY = `sha256:${createHash("sha256").update(IMAGE).digest("hex")}`;
const ONE = { incarnation: "one", capabilities: { resume: true } } as const satisfies WorkerReport;

const beat = async (url: string, worker: string, report: WorkerReport): Promise<string> =>
  (await post(`${url}/receive_heart_beat`, { worker_name: worker, queue_length: 0, ...report })).text;

describe("a draining worker", () => {
  it("ends what it has, gets nothing new, and leaves when it deregisters", async () => {
    const worker = await startWorker(["m"], (request, response) => {
      streaming(WORD, () => void until(() => isOver).then(() => response.end(WHOLE)))(request, response);
    });
    let isOver = false;
    const { url } = await startController();
    await register(url, worker.url, ["m"], { report: ONE });
    const answer = post(`${url}/v1/chat/completions`, ASK);
    await until(async () => (await numStreams(url)) === 1);
    expect(await beat(url, worker.url, { ...ONE, seq: 1, state: "draining" })).toBe('{"exist":true}');
    expect(await modelsOf(url)).toEqual({ models: [] });
    const refused = await post(`${url}/v1/chat/completions`, ASK);
    expect(refused.status).toBe(503);
    expect(parseErrorBody(JSON.parse(refused.text))).toMatchObject({ code: "no_worker" });
    isOver = true;
    expect((await answer).text).toBe(WORD + WHOLE);
    const leave = (incarnation: string) =>
      post(`${url}/deregister_worker`, { worker_name: worker.url, incarnation }).then(({ text }) => text);
    expect(await leave("two")).toBe('{"removed":false}');
    expect(await leave("one")).toBe('{"removed":true}');
    expect(await beat(url, worker.url, ONE)).toBe('{"exist":false}');
  });
});

describe("a worker that fails", () => {
  it("leaves at once, and is back at once when it was only its connection and it is still the same process", async () => {
    let isBroken = true;
    const worker = await startWorker(
      ["m"],
      (request, response) => {
        if (isBroken) request.socket.destroy();
        else streaming(WHOLE)(request, response);
      },
      ONE,
    );
    const { url } = await startController();
    await register(url, worker.url, ["m"], { report: ONE });
    await eventsOf(url).catch(() => undefined);
    isBroken = false;
    await until(async () => JSON.stringify(await modelsOf(url)) === '{"models":["m"]}');
    expect((await eventsOf(url)).at(-1)).toMatchObject({ type: "finished" });
  });

  it("stays away when another process answers there", async () => {
    const report: { incarnation: string } = { incarnation: "one" };
    const worker = await startWorker(["m"], (request) => request.socket.destroy(), report);
    const { url } = await startController();
    await register(url, worker.url, ["m"], { report: { ...report } });
    report.incarnation = "two";
    await eventsOf(url).catch(() => undefined);
    await until(() => worker.asked.includes("/worker_get_status"));
    await sleep(50);
    expect(await modelsOf(url)).toEqual({ models: [] });
    expect(await beat(url, worker.url, { incarnation: "two" })).toBe('{"exist":false}');
  });

  it("without heartbeats is asked, and leaves when it is silent", async () => {
    const { url } = await startController();
    await register(url, await deadAddress(), ["m"], { checkHeartBeat: false });
    await eventsOf(url).catch(() => undefined);
    await until(async () => JSON.stringify(await modelsOf(url)) === '{"models":[]}');
  });
});

describe("image_affinity", () => {
  it("sends an image where its worker reports it", async () => {
    const { controller, url } = await startController({ dispatchMethod: "image_affinity" });
    expect(controller.app.hasRoute({ method: "POST", url: "/deregister_worker" })).toBe(true);
    const first = await startWorker(["m"], streaming(WHOLE));
    const second = await startWorker(["m"], streaming(WHOLE));
    await register(url, first.url, ["m"], { report: { incarnation: "a" } });
    await register(url, second.url, ["m"], { report: { incarnation: "b", image_keys: [KEY] } });
    const content = [
      { type: "text", text: "What color?" },
      { type: "image_url", image_url: { url: `data:image/png;base64,${IMAGE.toString("base64")}` } },
    ];
    const ask = { ...ASK, messages: [{ role: "user", content }] };
    await post(`${url}/v1/chat/completions`, ask);
    expect(
      [first.asked, second.asked].map((asked) => asked.filter((path) => path.startsWith("/v1/chat")).length),
    ).toEqual([0, 1]);
  });
});

describe("the controller's sweep of silent workers", () => {
  /** A fleet on a clock of its own, which may throw. */
  function fleetAt(clock: { ms: number; isBroken: boolean }): { registry: Registry; fleet: Fleet } {
    const now = (): number => {
      if (clock.isBroken) throw new Error("broken clock");
      return clock.ms;
    };
    const registry = new Registry({ dispatchMethod: "lottery", expiryMs: 30_000, now, random: () => 0 });
    const client = new WorkerClient();
    const history = new ClusterHistory({ queue: () => registry.queue, now, wallClock: Date.now });
    const fleet = new Fleet(registry, client, pino({ level: "silent" }), history);
    registry.register("http://127.0.0.1:1", true, { model_names: ["m"], speed: 1, queue_length: 0 });
    fleet.start();
    closeLater(async () => {
      fleet.stop();
      await client.close();
    });
    return { registry, fleet };
  }

  it("goes on after it failed once", async () => {
    const clock = { ms: 0, isBroken: true };
    clock.isBroken = false;
    const { registry } = fleetAt(clock);
    clock.isBroken = true;
    await sleep(1_500);
    clock.isBroken = false;
    clock.ms = 1_500;
    expect(registry.workers).toHaveLength(1);
    for (; registry.workers.length > 0; clock.ms += 4_000) await sleep(1_000);
    expect(clock.ms).toBeGreaterThan(30_000);
  });

  it("extends the deadlines of workers whose heartbeats it missed because it stood still", async () => {
    const clock = { ms: 0, isBroken: false };
    const { registry } = fleetAt(clock);
    await sleep(1_500);
    clock.ms = 3_600_000;
    await sleep(1_500);
    expect(registry.models).toEqual(["m"]);
  });
});
