/** Checks a fleet from outside while faults happen, over connections that never fail. */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Canary } from "../fleet/canary.ts";
import { CONCURRENCY, MODEL, type Fleet, type ProxiedServer } from "../fleet/proxied-fleet.ts";
import type { Routed } from "./history.ts";

const INTERVAL_MS = 250;
const TIMEOUT_MS = 10_000;

/** One check, and its fault if there was one. */
export interface Look {
  readonly rule: "I6" | "I7" | "I8" | "I13";
  readonly fault: string | null;
}

export interface Watch {
  readonly looks: readonly Look[];
  readonly routed: readonly Routed[];
  readonly end: () => Promise<void>;
}

const addressSchema = z.object({ address: z.string() });
const loadSchema = z.object({ running: z.number(), waiting: z.number() });

/** @param isWell whether the process runs and is not stopped, so that its silence is a fault */
export function watch(fleet: Fleet, canary: Canary, isWell: (place: ProxiedServer) => boolean): Watch {
  const looks: Look[] = [];
  const routed: Routed[] = [];
  const over = new AbortController();
  const look = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await Promise.all([
        lookAtController(fleet, isWell, looks, routed),
        lure(fleet, canary, looks),
        ...fleet.workers.map((place) => lookAtWorker(place, looks)),
      ]);
      await sleep(INTERVAL_MS);
    }
  };
  const looking = look();
  const end = async (): Promise<void> => {
    over.abort();
    await looking;
  };
  return { looks, routed, end };
}

async function lookAtController(
  { controller, key }: Fleet,
  isWell: (place: ProxiedServer) => boolean,
  looks: Look[],
  routed: Routed[],
): Promise<void> {
  const { address } = controller;
  const wasWell = isWell(controller);
  const { program } = controller;
  const health = await call(`${address}/health`, {});
  // A process that failed while it was asked proves nothing.
  const isSilent = health === null && wasWell && isWell(controller) && controller.program === program;
  looks.push({ rule: "I13", fault: isSilent ? `${address}/health did not answer` : null });
  const body = JSON.stringify({ model: MODEL });
  const json = { "content-type": "application/json" };
  const signed = { ...json, authorization: `Bearer ${key}` };
  const atMs = performance.now();
  const named = await call(`${address}/get_worker_address`, { method: "POST", headers: signed, body });
  const place = addressSchema.safeParse(named?.body);
  if (place.success && place.data.address !== "") routed.push({ atMs, address: place.data.address });
  for (const path of ["/v1/chat/completions", "/register_worker", "/refresh_all_workers"]) {
    const withoutKey = await call(address + path, { method: "POST", headers: json, body });
    const isRefused = withoutKey === null || [401, 403, 503].includes(withoutKey.status);
    looks.push({
      rule: "I7",
      fault: isRefused ? null : `${path} took a request without a key: HTTP ${withoutKey.status}`,
    });
  }
}

/** Names an image's address, and that of a worker without the token: no server may call them. */
async function lure({ controller, key }: Fleet, canary: Canary, looks: Look[]): Promise<void> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
  const content = [{ type: "image_url", image_url: { url: `${canary.url}/cat.png` } }];
  const bodies = {
    "/v1/chat/completions": { model: MODEL, max_tokens: 1, messages: [{ role: "user", content }] },
    "/register_worker": { worker_name: canary.url, check_heart_beat: false, worker_status: null },
  };
  for (const [path, body] of Object.entries(bodies)) {
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    const answer = await call(controller.address + path, init);
    const isLed = answer?.status === 200 || canary.numCalls > 0;
    looks.push({ rule: "I8", fault: isLed ? `${path} was led to ${canary.url}` : null });
  }
}

async function lookAtWorker({ address }: ProxiedServer, looks: Look[]): Promise<void> {
  const health = await call(`${address}/health`, {});
  const load = loadSchema.safeParse(health?.body);
  if (!load.success) return;
  const { running } = load.data;
  const fault = running > CONCURRENCY ? `${address} runs ${running} of ${CONCURRENCY}` : null;
  looks.push({ rule: "I6", fault });
}

/** The answer to a request; null when none came in time. */
export async function call(
  url: string,
  init: RequestInit,
): Promise<{ readonly status: number; readonly body: unknown } | null> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
    const text = await response.text();
    return { status: response.status, body: parse(text) };
  } catch {
    return null;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
