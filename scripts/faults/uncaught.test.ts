/** Tests F27: an exception that is not caught ends the process, whose state is unknown then, after its running answers. */
import { expect, it } from "vitest";
import { ask, type ClientBehavior, type Question } from "./history/recorded-ask.ts";
import { startFleet } from "./fleet/proxied-fleet.ts";
import type { Asked } from "./history/history.ts";
import { call } from "./history/watcher.ts";

const QUESTION: Question = { text: "Tell me a story.", seed: 1, maxTokens: 200 };
const BEHAVIOR: ClientBehavior = { isStream: true, leaveAfter: null, pauseMs: 0, timeoutMs: 60_000 };

it("ends a worker whose answers go on elsewhere, and a controller that comes back", async () => {
  await using fleet = await startFleet(2, 7, []);
  const { controller, workers, key } = fleet;
  const target = { url: controller.address, key, way: "relayed" } as const;
  const askOnce = async (): Promise<Asked> => await ask(target, QUESTION, 0, BEHAVIOR);
  const { text, ending } = await askOnce();
  const failing = workers[0]?.program;
  if (failing === undefined) throw new Error("there is no worker");

  const asking = Promise.all([askOnce(), askOnce(), askOnce()]);
  failing.child.send("fail");
  expect(ending.kind).toBe("whole");
  for (const asked of await asking) expect(asked).toMatchObject({ ending, text });
  expect(await failing.ended).toBe("70");
  expect(failing.logFaults.join("\n")).toContain("failed on purpose");

  controller.program.child.send("fail");
  expect(await controller.program.ended).toBe("70");
  expect(await call(`${controller.address}/health`, {})).toBeNull();
  controller.program = await controller.start();
  await expect.poll(async () => (await askOnce()).text).toBe(text);
});
