/** Whether the controller's memory stays flat while large images pass through it. */
import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { percentile, type Row } from "../results/bench-row.ts";
import { ask, chatBody } from "./bench-ask.ts";
import { startController, startWorkers } from "./bench-processes.ts";

export interface BodiesPlan {
  readonly requests: number;
  readonly atOnce: number;
  readonly controllerFlags: readonly string[];
}

/** Base64 makes a third more of it. */
const IMAGE_BYTES = 15e6;
const SETTLE_MS = 2_000;

export async function benchBodies({ requests, atOnce, controllerFlags }: BodiesPlan): Promise<Row[]> {
  await using controller = await startController(controllerFlags, undefined);
  await using workers = await startWorkers(controller.url, { count: 1, heartbeatMs: 15_000, pieceMs: 0 });
  const body = chatBody(IMAGE_BYTES);
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const pass = async (count: number): Promise<number[]> => {
    const times: number[] = [];
    let left = count;
    const inTurn = async (): Promise<void> => {
      while (left-- > 0) {
        const { isWhole, wholeMs } = await ask(controller.url, body, agent);
        if (!isWhole) throw new Error("An answer to a large image was not whole.");
        times.push(wholeMs);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, inTurn));
    return times;
  };
  const before = await controller.measure();
  await pass(Math.ceil(requests / 2));
  const first = await controller.measure();
  const times = await pass(Math.floor(requests / 2));
  const second = await controller.measure();
  await sleep(SETTLE_MS);
  const after = await controller.measure();
  agent.destroy();
  void workers;
  const megabytes = (body.length / 1e6).toFixed(0);
  const rows: [string, number, string, string][] = [
    ["RSS, before", before.rssMiB, "MiB", "controller"],
    [
      "RSS peak, first half",
      first.peakRssMiB,
      "MiB",
      `${requests} bodies of ${megabytes} MB in all, ${atOnce} at once`,
    ],
    ["RSS peak, second half", second.peakRssMiB, "MiB", "no more than in the first half when memory is flat"],
    ["RSS, after", after.rssMiB, "MiB", "two seconds after the last"],
    ["event loop p99", second.delayP99Ms, "ms", `longest ${second.delayMaxMs.toFixed(0)}`],
    ["whole answer p50", percentile(times, 0.5), "ms", "with the others at once"],
  ];
  return rows.map(([name, value, unit, note]) => ({ part: "large bodies", name, value, unit, note }));
}
