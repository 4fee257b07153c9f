/** What breaks a fleet: one fault after the other, each mended before it returns, drawn from a seed. */
import { setTimeout as sleep } from "node:timers/promises";
import { ask, type Question } from "./history/recorded-ask.ts";
import type { Fleet, Place } from "./fleet/proxied-fleet.ts";
import type { Absence, Asked } from "./history/history.ts";
import { oneOf, wholeFrom } from "./fleet/seeded-random.ts";
import { STRIKES, type Strike, type TcpProxy } from "./fleet/tcp-proxy.ts";

export interface Scene {
  readonly fleet: Fleet;
  readonly random: () => number;
  readonly questions: readonly Question[];
  /** Filled in as things happen. */
  readonly absences: Absence[];
  readonly asked: Asked[];
  /** Processes that were told to end, or killed; and those that stand still now. */
  readonly doomed: Set<Place["program"]>;
  readonly stopped: Set<Place["program"]>;
}

export interface Fault {
  readonly name: string;
  readonly happen: (scene: Scene) => Promise<void>;
}

/** Requests of one moment in the overload, several times what two workers run and hold. */
const CROWD = 60;

/** Each row of the matrix that can be made with processes and proxies alone. */
export const FAULTS: readonly Fault[] = [
  { name: "F01 worker SIGKILL", happen: async (scene) => replace(scene, anyWorker(scene), "SIGKILL") },
  { name: "F22 worker SIGTERM", happen: async (scene) => replace(scene, anyWorker(scene), "SIGTERM") },
  { name: "F02 worker SIGSTOP", happen: async (scene) => pause(scene, anyWorker(scene)) },
  { name: "F01 F15 controller SIGKILL", happen: async (scene) => restart(scene, "SIGKILL") },
  { name: "F22 F15 controller SIGTERM", happen: async (scene) => restart(scene, "SIGTERM") },
  { name: "F02 controller SIGSTOP", happen: async (scene) => pause(scene, scene.fleet.controller) },
  { name: "F03 F04 way to a worker", happen: async (scene) => strike(scene, anyWorker(scene).proxy) },
  {
    name: "F03 F04 way to the controller",
    happen: async (scene) => strike(scene, scene.fleet.controller.proxy),
  },
  { name: "F03 way of the reports", happen: async (scene) => strike(scene, scene.fleet.back) },
  { name: "F03 port of a worker refused", happen: async (scene) => refuse(scene, anyWorker(scene).proxy) },
  { name: "F05 latency, jitter, slices", happen: badWeather },
  { name: "F10 overload", happen: overload },
  { name: "F14 F16 F24 lies and strangers", happen: strangers },
];

function anyWorker({ fleet, random }: Scene): Place {
  return oneOf(random, fleet.workers);
}

/** The process ends, and another one takes its place a while later. */
async function replace(
  { random, absences, doomed }: Scene,
  place: Place,
  signal: "SIGKILL" | "SIGTERM",
): Promise<void> {
  const { program } = place;
  doomed.add(program);
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
  { fleet: { controller }, random, doomed }: Scene,
  signal: "SIGKILL" | "SIGTERM",
): Promise<void> {
  const { program } = controller;
  doomed.add(program);
  program.child.kill(signal);
  await program.ended;
  await sleep(wholeFrom(random, 0, 2_000));
  controller.program = await controller.start();
}

async function pause({ random, stopped }: Scene, { program }: Place): Promise<void> {
  stopped.add(program);
  program.child.kill("SIGSTOP");
  await sleep(wholeFrom(random, 500, 3_000));
  program.child.kill("SIGCONT");
  stopped.delete(program);
}

async function strike({ random }: Scene, proxy: TcpProxy): Promise<void> {
  const how: Strike = oneOf(random, STRIKES);
  // Now, or when each connection has brought so much.
  if (random() < 0.5) proxy.strike(how);
  else proxy.setWeather({ after: { bytes: wholeFrom(random, 1, 4_000), strike: how } });
  await sleep(wholeFrom(random, 500, 3_000));
  proxy.setWeather({});
  proxy.heal();
}

async function refuse({ random }: Scene, proxy: TcpProxy): Promise<void> {
  proxy.refuse();
  proxy.strike("reset");
  await sleep(wholeFrom(random, 500, 3_000));
  await proxy.admit();
}

async function badWeather({ fleet, random }: Scene): Promise<void> {
  const proxies = [fleet.controller.proxy, fleet.back, ...fleet.workers.map(({ proxy }) => proxy)];
  for (const proxy of proxies) {
    proxy.setWeather({
      latencyMs: wholeFrom(random, 0, 100),
      jitterMs: 100,
      sliceBytes: wholeFrom(random, 1, 50),
    });
  }
  await sleep(wholeFrom(random, 1_000, 3_000));
  for (const proxy of proxies) proxy.setWeather({});
}

async function overload({ fleet, random, questions, asked }: Scene): Promise<void> {
  const target = { url: fleet.controller.proxy.url, key: fleet.key, way: "relayed" } as const;
  const manner = { isStream: true, leaveAfter: null, pauseMs: 0, patienceMs: 120_000 };
  const crowd = Array.from({ length: CROWD }, async () => {
    const index = Math.floor(random() * questions.length);
    const question = questions[index];
    if (question !== undefined) asked.push(await ask(target, question, index, manner));
  });
  await Promise.all(crowd);
}

/** Callers that have no place here; that they are refused is the watcher's to check, that nothing else happens the rest's. */
async function strangers({ fleet, random }: Scene): Promise<void> {
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
