/** I14: what the programs count is what happened to their clients, asked when nothing is broken and nobody else asks. */
import { setTimeout as sleep } from "node:timers/promises";
import { ask, type Question } from "./recorded-ask.ts";
import type { Fleet, Place } from "../fleet/proxied-fleet.ts";
import type { Asked, Verdict } from "./history.ts";

const NUM_STREAMS = 20;
/** The counters of a client that left are behind by the time that its worker needs to hear of it. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 100;

export async function checkCounts(fleet: Fleet, question: Question): Promise<Verdict> {
  const { controller, workers, key } = fleet;
  const before = await relaysOf(controller, key);
  const asked = await Promise.all(Array.from({ length: NUM_STREAMS }, (_, i) => askOnce(fleet, question, i)));
  const untilMs = performance.now() + PATIENCE_MS;
  let faults: readonly string[];
  do {
    await sleep(PAUSE_MS);
    faults = [
      ...relayFaults(asked, before, await relaysOf(controller, key)),
      ...(await Promise.all([controller, ...workers].map((place) => edgeFault(place, key)))),
    ].filter((fault) => fault !== null);
  } while (faults.length > 0 && performance.now() < untilMs);
  const rule = "counters say what the clients saw: all requests that came in are answered";
  return { name: "I14", rule, checked: asked.length + workers.length + 1, faults };
}

/** Every second client leaves at the first word. */
async function askOnce({ controller, key }: Fleet, question: Question, index: number): Promise<Asked> {
  const leaveAfter = index % 2 === 0 ? 1 : null;
  const manner = { isStream: true, leaveAfter, pauseMs: 0, patienceMs: 60_000 };
  return await ask({ url: controller.address, key, way: "relayed" }, question, 0, manner);
}

/** Relayed requests by the kind of their end. */
interface Relays {
  readonly whole: number;
  readonly all: number;
}

async function relaysOf(place: Place, key: string): Promise<Relays> {
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
    // Who leaves at a word may have been sent the rest before.
    numCounted >= numWhole ? null : `${numWhole} whole answers were counted as ${numCounted}`,
  ];
}

/** The one that asks for the numbers is in flight itself. */
async function edgeFault(place: Place, key: string): Promise<string | null> {
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

async function metricsOf({ address }: Place, key: string): Promise<string> {
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
