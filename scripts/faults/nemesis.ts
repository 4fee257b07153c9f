/** Injects faults into a fleet, drawn from a seed; each ends before the function that injects it returns. */
import { setTimeout as sleep } from "node:timers/promises";
import { ask, type Question } from "./history/recorded-ask.ts";
import type { Fleet, ProxiedServer } from "./fleet/proxied-fleet.ts";
import type { Absence, Asked } from "./history/history.ts";
import { oneOf, wholeFrom } from "../support/seeded-random.ts";
import { CONNECTION_FAULTS, type ConnectionFault, type TcpProxy } from "./fleet/tcp-proxy.ts";

export interface FaultRun {
  readonly fleet: Fleet;
  readonly random: () => number;
  readonly questions: readonly Question[];
  /** The absences of workers so far. */
  readonly absences: Absence[];
  /** The requests so far. */
  readonly asked: Asked[];
  /** The processes that were killed or got SIGTERM. */
  readonly toldToEnd: Set<ProxiedServer["program"]>;
  /** The processes that are stopped now (SIGSTOP). */
  readonly stopped: Set<ProxiedServer["program"]>;
}

export interface Fault {
  readonly name: string;
  readonly happen: (run: FaultRun) => Promise<void>;
}

/** The requests at one moment of the overload: several times as many as two workers run and queue. */
const CROWD = 60;

/** The faults of the matrix that need processes and proxies only. */
export const FAULTS: readonly Fault[] = [
  { name: "F01 worker SIGKILL", happen: async (run) => replace(run, anyWorker(run), "SIGKILL") },
  { name: "F22 worker SIGTERM", happen: async (run) => replace(run, anyWorker(run), "SIGTERM") },
  { name: "F02 worker SIGSTOP", happen: async (run) => pause(run, anyWorker(run)) },
  { name: "F01 F15 controller SIGKILL", happen: async (run) => restart(run, "SIGKILL") },
  { name: "F22 F15 controller SIGTERM", happen: async (run) => restart(run, "SIGTERM") },
  { name: "F02 controller SIGSTOP", happen: async (run) => pause(run, run.fleet.controller) },
  { name: "F03 F04 connections to a worker", happen: async (run) => injectFault(run, anyWorker(run).proxy) },
  {
    name: "F03 F04 connections to the controller",
    happen: async (run) => injectFault(run, run.fleet.controller.proxy),
  },
  { name: "F03 connections for reports", happen: async (run) => injectFault(run, run.fleet.back) },
  { name: "F03 port of a worker refused", happen: async (run) => refuse(run, anyWorker(run).proxy) },
  { name: "F05 latency, jitter, slices", happen: degradeNetwork },
  { name: "F10 overload", happen: overload },
  { name: "F14 F16 F24 unauthorized and stale calls", happen: unauthorizedCalls },
];

function anyWorker({ fleet, random }: FaultRun): ProxiedServer {
  return oneOf(random, fleet.workers);
}

/** Ends a process, and starts another one in its place a while later. */
async function replace(
  { random, absences, toldToEnd }: FaultRun,
  place: ProxiedServer,
  signal: "SIGKILL" | "SIGTERM",
): Promise<void> {
  const { program } = place;
  toldToEnd.add(program);
  program.child.kill(signal);
  await program.ended;
  const fromMs = performance.now();
  await sleep(wholeFrom(random, 0, 6_000));
  const startMs = performance.now();
  place.program = await place.start();
  const absence = { address: place.proxy.url, isInOrder: signal === "SIGTERM", fromMs, toMs: startMs };
  absences.push(absence);
}

async function restart(
  { fleet: { controller }, random, toldToEnd }: FaultRun,
  signal: "SIGKILL" | "SIGTERM",
): Promise<void> {
  const { program } = controller;
  toldToEnd.add(program);
  program.child.kill(signal);
  await program.ended;
  await sleep(wholeFrom(random, 0, 2_000));
  controller.program = await controller.start();
}

async function pause({ random, stopped }: FaultRun, { program }: ProxiedServer): Promise<void> {
  stopped.add(program);
  program.child.kill("SIGSTOP");
  await sleep(wholeFrom(random, 500, 3_000));
  program.child.kill("SIGCONT");
  stopped.delete(program);
}

async function injectFault({ random }: FaultRun, proxy: TcpProxy): Promise<void> {
  const how: ConnectionFault = oneOf(random, CONNECTION_FAULTS);
  // The fault comes at once, or when a connection has brought a number of bytes.
  if (random() < 0.5) proxy.inject(how);
  else proxy.setConditions({ after: { bytes: wholeFrom(random, 1, 4_000), fault: how } });
  await sleep(wholeFrom(random, 500, 3_000));
  proxy.setConditions({});
  proxy.heal();
}

async function refuse({ random }: FaultRun, proxy: TcpProxy): Promise<void> {
  proxy.refuse();
  proxy.inject("reset");
  await sleep(wholeFrom(random, 500, 3_000));
  await proxy.admit();
}

async function degradeNetwork({ fleet, random }: FaultRun): Promise<void> {
  const proxies = [fleet.controller.proxy, fleet.back, ...fleet.workers.map(({ proxy }) => proxy)];
  for (const proxy of proxies) {
    proxy.setConditions({
      latencyMs: wholeFrom(random, 0, 100),
      jitterMs: 100,
      sliceBytes: wholeFrom(random, 1, 50),
    });
  }
  await sleep(wholeFrom(random, 1_000, 3_000));
  for (const proxy of proxies) proxy.setConditions({});
}

async function overload({ fleet, random, questions, asked }: FaultRun): Promise<void> {
  const target = { url: fleet.controller.proxy.url, key: fleet.key, way: "relayed" } as const;
  const behavior = { isStream: true, leaveAfter: null, pauseMs: 0, timeoutMs: 120_000 };
  const crowd = Array.from({ length: CROWD }, async () => {
    const index = Math.floor(random() * questions.length);
    const question = questions[index];
    if (question !== undefined) asked.push(await ask(target, question, index, behavior));
  });
  await Promise.all(crowd);
}

/** Sends invalid, stale and unauthorized requests. The watcher checks that they are refused, all others that nothing else happens. */
async function unauthorizedCalls({ fleet, random }: FaultRun): Promise<void> {
  const { url } = fleet.controller.proxy;
  const bodies = ["{", "null", '{"model":5}', `{"model":"${"m".repeat(300)}"}`, "[".repeat(5_000)];
  const paths = ["/register_worker", "/receive_heart_beat", "/deregister_worker", "/v1/chat/completions"];
  const zombie = JSON.stringify({
    worker_name: fleet.workers[0]?.proxy.url,
    queue_length: 9,
    incarnation: "old",
  });
  const calls = Array.from({ length: 30 }, async () => {
    const body = random() < 0.3 ? zombie : oneOf(random, bodies);
    const headers = {
      "content-type": "application/json",
      ...(random() < 0.5 ? { authorization: `Bearer ${fleet.key}` } : {}),
    };
    const response = await fetch(url + oneOf(random, paths), { method: "POST", headers, body }).catch(
      () => null,
    );
    await response?.body?.cancel();
  });
  await Promise.all(calls);
}
