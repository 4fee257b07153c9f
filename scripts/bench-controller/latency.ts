/** What the controller adds to an answer: the same request to a worker itself and through the controller, in turns. */
import { Agent } from "node:http";
import { median, percentile, type Row } from "../bench-row.ts";
import { ask, chatBody } from "./ask.ts";
import { startController, startWorkers } from "./processes.ts";

export interface LatencyPlan {
  readonly rounds: number;
  readonly controllerFlags: readonly string[];
  readonly profile: string | undefined;
}

interface Request {
  readonly name: string;
  readonly body: Buffer;
  readonly rounds: number;
  readonly goal: string;
}

const WARM_UP = 50;
/** One picture takes as long as some ten texts. */
const PICTURE_SHARE = 1 / 4;
const MEGABYTE = 1e6;

export async function benchLatency({ rounds, controllerFlags, profile }: LatencyPlan): Promise<Row[]> {
  await using controller = await startController(controllerFlags, profile);
  await using workers = await startWorkers(controller.url, { count: 1, heartbeatMs: 15_000, pieceMs: 0 });
  const requests: readonly Request[] = [
    { name: "text", body: chatBody(0), rounds, goal: "goal: at most 0.5" },
    {
      name: "1 MB picture",
      body: chatBody(MEGABYTE),
      rounds: Math.ceil(rounds * PICTURE_SHARE),
      goal: "goal: at most 3",
    },
  ];
  // As a client's library does: connections are kept.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const rows: Row[] = [];
  try {
    for (const request of requests) {
      const times = { direct: [] as number[], relayed: [] as number[] };
      const one = async (kind: keyof typeof times): Promise<void> => {
        const url = kind === "direct" ? workers.url : controller.url;
        const { wholeMs, isWhole } = await ask(url, request.body, agent);
        if (!isWhole) throw new Error(`An answer to ${request.name} was not whole (${kind}).`);
        times[kind].push(wholeMs);
      };
      for (let i = 0; i < WARM_UP; i++) for (const kind of ["direct", "relayed"] as const) await one(kind);
      times.direct.length = 0;
      times.relayed.length = 0;
      await controller.measure();
      for (let i = 0; i < request.rounds; i++) {
        const order = i % 2 === 0 ? (["direct", "relayed"] as const) : (["relayed", "direct"] as const);
        for (const kind of order) await one(kind);
      }
      const { cpuMs } = await controller.measure();
      rows.push(...latencyRows(request, times, cpuMs));
    }
  } finally {
    agent.destroy();
  }
  return rows;
}

function latencyRows(
  { name, rounds, goal }: Request,
  { direct, relayed }: { readonly direct: readonly number[]; readonly relayed: readonly number[] },
  cpuMs: number,
): Row[] {
  const row = (what: string, value: number, note: string): Row => ({
    part: "relay",
    name: `${name}, ${what}`,
    value,
    unit: "ms",
    note,
  });
  const [p99, directP99] = [percentile(relayed, 0.99), percentile(direct, 0.99)];
  return [
    row("direct p50", median(direct), `whole answer from the worker itself, ${rounds} times`),
    row("relayed p50", median(relayed), "the same through the controller, in turns"),
    row("added p50", median(relayed) - median(direct), `difference of the medians; ${goal}`),
    row("added p99", p99 - directP99, `difference of the p99; ${directP99.toFixed(2)} and ${p99.toFixed(2)}`),
    row("controller's CPU", cpuMs / rounds, "a relayed request, all threads"),
  ];
}
