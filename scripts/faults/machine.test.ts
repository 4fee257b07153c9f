/** Tests faults of the machine: a clock that jumps (F17), too little processor time (F26), no memory (F09). */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ask, type ClientBehavior, type Question } from "./history/recorded-ask.ts";
import { EXPIRY_MS, HEARTBEAT_MS, MODEL, startFleet, type Fleet } from "./fleet/proxied-fleet.ts";
import type { Asked } from "./history/history.ts";

const QUESTION: Question = { text: "Tell me a story.", seed: 3, maxTokens: 120 };
const BEHAVIOR: ClientBehavior = { isStream: true, leaveAfter: null, pauseMs: 0, timeoutMs: 90_000 };
const DAY_MS = 86_400_000;
/** The processes that use a core each: more than the cores of the machines that run the tests. */
const NUM_BURNERS = 6;

const askOnce = async ({ controller, key }: Fleet): Promise<Asked> =>
  await ask({ url: controller.address, key, way: "relayed" }, QUESTION, 0, BEHAVIOR);

async function expectAll(fleet: Fleet, numWorkers: number): Promise<void> {
  const response = await fetch(`${fleet.controller.address}/health`);
  expect(await response.json()).toMatchObject({ workers: numWorkers, models: [MODEL] });
}

describe("a machine", () => {
  it("whose clock jumps by a day, forth and back, loses no worker, and answers stay what they are", async () => {
    await using fleet = await startFleet(2, 11, []);
    const { text } = await askOnce(fleet);
    expect(text).not.toBe("");
    for (const jump of [DAY_MS, -2 * DAY_MS, DAY_MS]) {
      // Between requests, as these clocks jump one after the other, and those of one machine together.
      for (const { child } of fleet.programs) child.send(`clock ${jump}`);
      await sleep(HEARTBEAT_MS);
      expect(await askOnce(fleet)).toMatchObject({ ending: { kind: "whole" }, text });
      // Longer than workers without heartbeats stay.
      await sleep(EXPIRY_MS + HEARTBEAT_MS);
      await expectAll(fleet, 2);
      expect((await askOnce(fleet)).text).toBe(text);
    }
    for (const { logFaults } of fleet.programs) expect(logFaults).toEqual([]);
  });

  it("that has no time for its processes loses no worker and no answer", async () => {
    await using fleet = await startFleet(2, 12, []);
    const { text } = await askOnce(fleet);
    const burners = Array.from({ length: NUM_BURNERS }, startBurner);
    try {
      const answers = await Promise.all([askOnce(fleet), askOnce(fleet), askOnce(fleet)]);
      for (const asked of answers) expect(asked).toMatchObject({ ending: { kind: "whole" }, text });
      await sleep(EXPIRY_MS);
      await expectAll(fleet, 2);
    } finally {
      for (const burner of burners) burner.kill("SIGKILL");
      await Promise.all(burners.map((burner) => once(burner, "exit")));
    }
    expect((await askOnce(fleet)).text).toBe(text);
  });

  it("that has no memory for a worker loses that one; its answers go on elsewhere", async () => {
    await using fleet = await startFleet(2, 13, [], { NODE_OPTIONS: "--max-old-space-size=256" });
    const { text } = await askOnce(fleet);
    const [failing] = fleet.workers;
    if (failing === undefined) throw new Error("there is no worker");
    const asking = Promise.all([askOnce(fleet), askOnce(fleet), askOnce(fleet)]);
    failing.program.child.send("hoard");
    expect(await failing.program.ended).not.toBe("0");
    for (const asked of await asking) expect(asked).toMatchObject({ ending: { kind: "whole" }, text });
    failing.program = await failing.start();
    await expect.poll(async () => await listed(fleet)).toBe(2);
  });
});

async function listed({ controller }: Fleet): Promise<unknown> {
  const response = await fetch(`${controller.address}/health`);
  const health: unknown = await response.json();
  return typeof health === "object" && health !== null && "workers" in health ? health.workers : null;
}

/** Uses one core for as long as it lives. */
function startBurner(): ChildProcess {
  return fork(new URL("./fleet/burner.ts", import.meta.url), { stdio: "ignore" });
}
