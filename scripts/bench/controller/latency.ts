/** What the controller adds to an answer: the same request to a worker itself, through a bare relay, and through it, in turns. */
import { Agent } from "node:http";
import { median, percentile, type Row } from "../results/bench-row.ts";
import { ask, chatBody } from "./bench-ask.ts";
import { startBareRelay, startController, startWorkers } from "./bench-processes.ts";

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

const WAYS = ["direct", "bare", "relayed"] as const;
type Way = (typeof WAYS)[number];
/** Milliseconds of each answer. */
type Times = Record<Way, number[]>;

const WARM_UP = 50;
/** One image takes as long as some ten texts. */
const IMAGE_SHARE = 1 / 4;
const MEGABYTE = 1e6;

export async function benchLatency({ rounds, controllerFlags, profile }: LatencyPlan): Promise<Row[]> {
  await using controller = await startController(controllerFlags, profile);
  await using workers = await startWorkers(controller.url, { count: 1, heartbeatMs: 15_000, pieceMs: 0 });
  await using bare = await startBareRelay(workers.url);
  const urls = { direct: workers.url, bare: bare.url, relayed: controller.url };
  const requests: readonly Request[] = [
    { name: "text", body: chatBody(0), rounds, goal: "goal: at most 0.5" },
    {
      name: "1 MB image",
      body: chatBody(MEGABYTE),
      rounds: Math.ceil(rounds * IMAGE_SHARE),
      goal: "goal: at most 3",
    },
  ];
  // As a client's library does: connections are kept.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const rows: Row[] = [];
  try {
    for (const request of requests) {
      const times: Times = { direct: [], bare: [], relayed: [] };
      const one = async (kind: Way): Promise<void> => {
        const { wholeMs, isWhole } = await ask(urls[kind], request.body, agent);
        if (!isWhole) throw new Error(`An answer to ${request.name} was not whole (${kind}).`);
        times[kind].push(wholeMs);
      };
      for (let i = 0; i < WARM_UP; i++) for (const way of WAYS) await one(way);
      for (const way of WAYS) times[way].length = 0;
      await controller.measure();
      for (let i = 0; i < request.rounds; i++) {
        for (const way of i % 2 === 0 ? WAYS : WAYS.toReversed()) await one(way);
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
  { direct, bare, relayed }: Readonly<Times>,
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
    row(
      "bare relay adds p50",
      median(bare) - median(direct),
      "Node's own server and client, nothing looked at",
    ),
    row("added p99", p99 - directP99, `difference of the p99; ${directP99.toFixed(2)} and ${p99.toFixed(2)}`),
    row("controller's CPU", cpuMs / rounds, "a relayed request, all threads"),
  ];
}
