/** Checks I14: the metrics count what happened to the clients. It runs after the last fault, without other requests. */
import { setTimeout as sleep } from "node:timers/promises";
import { ask, type Question } from "./recorded-ask.ts";
import type { Fleet, ProxiedServer } from "../fleet/proxied-fleet.ts";
import type { Asked, Verdict } from "./history.ts";

const NUM_STREAMS = 20;
/** How long the counters may take to count a client that left, until its worker has noticed it. */
const TIMEOUT_MS = 10_000;
const PAUSE_MS = 100;

export async function checkCounts(fleet: Fleet, question: Question): Promise<Verdict> {
  const { controller, workers, key } = fleet;
  const before = await relaysOf(controller, key);
  const asked = await Promise.all(Array.from({ length: NUM_STREAMS }, (_, i) => askOnce(fleet, question, i)));
  const untilMs = performance.now() + TIMEOUT_MS;
  let faults: readonly string[];
  do {
    await sleep(PAUSE_MS);
    faults = [
      ...relayFaults(asked, before, await relaysOf(controller, key)),
      ...(await Promise.all([controller, ...workers].map((place) => edgeFault(place, key)))),
    ].filter((fault) => fault !== null);
  } while (faults.length > 0 && performance.now() < untilMs);
  const rule = "counters are what the clients saw: all requests that came in are answered";
  return { name: "I14", rule, checked: asked.length + workers.length + 1, faults };
}

/** Sends one request; every second client leaves at the first text. */
async function askOnce({ controller, key }: Fleet, question: Question, index: number): Promise<Asked> {
  const leaveAfter = index % 2 === 0 ? 1 : null;
  const behavior = { isStream: true, leaveAfter, pauseMs: 0, timeoutMs: 60_000 };
  return await ask({ url: controller.address, key, way: "relayed" }, question, 0, behavior);
}

/** Relayed requests by the kind of their end. */
interface Relays {
  readonly whole: number;
  readonly all: number;
}

async function relaysOf(place: ProxiedServer, key: string): Promise<Relays> {
  const samples = samplesIn(await metricsOf(place, key), "llava_relays_total");
  const whole = samples.filter(({ labels }) => labels.includes('outcome="ok"'));
  return { whole: sum(whole), all: sum(samples) };
}

function relayFaults(asked: readonly Asked[], before: Relays, after: Relays): readonly (string | null)[] {
  const numWhole = asked.filter(({ ending }) => ending.kind === "whole").length;
  const numCounted = after.whole - before.whole;
  const numAll = after.all - before.all;
  return [
    numAll === asked.length ? null : `${asked.length} requests were counted as ${numAll}`,
    // A client that left at a text may have been sent the rest before.
    numCounted >= numWhole ? null : `${numWhole} whole answers were counted as ${numCounted}`,
  ];
}

/** The request for the metrics is in flight itself. */
async function edgeFault(place: ProxiedServer, key: string): Promise<string | null> {
  const page = await metricsOf(place, key);
  const numIn = sum(samplesIn(page, "llava_http_requests_total"));
  const numOut = sum(samplesIn(page, "llava_http_responses_total"));
  const numOpen = sum(samplesIn(page, "llava_http_requests_in_flight"));
  if (numOpen === 1 && numIn === numOut + numOpen) return null;
  return `${place.address}: ${numIn} requests came in, ${numOut} were answered, ${numOpen} are in flight`;
}

interface Sample {
  readonly labels: string;
  readonly value: number;
}

async function metricsOf({ address }: ProxiedServer, key: string): Promise<string> {
  const response = await fetch(`${address}/metrics`, { headers: { authorization: `Bearer ${key}` } });
  return await response.text();
}

function samplesIn(page: string, name: string): readonly Sample[] {
  const lines = page.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.map((line) => {
    const end = line.lastIndexOf(" ");
    return { labels: line.slice(name.length, end), value: Number(line.slice(end + 1)) };
  });
}

function sum(samples: readonly Sample[]): number {
  return samples.reduce((total, { value }) => total + value, 0);
}
