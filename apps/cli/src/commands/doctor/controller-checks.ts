/** Checks a running controller for `llava doctor`: whether it answers, its clock, its workers. */
import type { WorkerView } from "@llava/protocol";
import { ask, workersOf, type Controller } from "../controller-view.ts";
import { findingOf, note, ok, wrong, type Finding } from "./finding.ts";
import { durationOf } from "../ps-table.ts";
import { version } from "../../output/cli-version.ts";

/** Half of the difference of clocks that signed requests between controller and workers may have. */
const MOST_SKEW_MS = 30_000;
/** Age at which one heartbeat has been missed; at 30 s a worker is dropped. */
const LATE_HEARTBEAT_S = 20;

/** @param isNamed whether the command line names the controller; otherwise none may be running yet */
export async function checkController(controller: Controller, isNamed: boolean): Promise<readonly Finding[]> {
  let skewMs: number | null = null;
  const reached = await findingOf(
    "Controller",
    async () => {
      const response = await ask(controller, "/health");
      skewMs = skewOf(response.headers.get("date"), Date.now());
      await response.arrayBuffer();
      return `it answers at ${controller.url}`;
    },
    isNamed ? wrong : note,
  );
  if (reached.state !== "ok") return [reached, checkClock(null)];
  return [reached, checkClock(skewMs), ...(await checkWorkers(controller))];
}

/** Without a controller only a clock that was never set can be recognized. */
export function checkClock(skewMs: number | null, now: number = Date.now()): Finding {
  const shown = new Date(now).toISOString();
  // The year in which this was written; a machine without a battery begins in 1970 or so.
  if (now < Date.UTC(2025, 0)) return wrong("Clock", `It says ${shown}, which is past. Set it, best by NTP.`);
  if (skewMs === null) return ok("Clock", shown);
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  if (Math.abs(skewMs) <= MOST_SKEW_MS) return ok("Clock", `${seconds} s from the controller's`);
  return wrong(
    "Clock",
    `It is ${seconds} s ${skewMs > 0 ? "ahead of" : "behind"} the controller's; signed requests fail at 60 s. Set both by NTP.`,
  );
}

/** Milliseconds by which this clock is ahead of a server's, whose `date` header has whole seconds. */
export function skewOf(date: string | null, now: number): number | null {
  const theirs = Date.parse(date ?? "");
  return Number.isNaN(theirs) ? null : now - theirs;
}

async function checkWorkers(controller: Controller): Promise<readonly Finding[]> {
  let workers: readonly WorkerView[] = [];
  const listed = await findingOf("Workers", async () => {
    workers = (await workersOf(controller)).data;
    const numReady = workers.filter(({ state }) => state === "ready").length;
    return `${numReady} of ${workers.length} are ready`;
  });
  if (listed.state !== "ok") return [listed];
  if (workers.some(({ state }) => state === "ready")) return [listed, ...workers.map(checkWorker)];
  const none =
    'None is ready, so that no request gets an answer. Start one with "llava worker", or wait until it has loaded its model.';
  return [wrong("Workers", none), ...workers.map(checkWorker)];
}

export function checkWorker(worker: WorkerView): Finding {
  const subject = "Worker";
  const { address, breaker, heartbeat_age_s: age, uptime_s } = worker;
  if (breaker === "open")
    return wrong(
      subject,
      `${address} kept failing and is left alone for a while. Look into its log for the reason.`,
    );
  if (age !== null && age > LATE_HEARTBEAT_S)
    return wrong(
      subject,
      `${address} sent its last heartbeat ${Math.round(age)} s ago. Look whether it runs and reaches the controller.`,
    );
  if (worker.state === "draining")
    return note(subject, `${address} is being stopped and finishes what runs.`);
  if (worker.version !== null && worker.version !== version())
    return note(subject, `${address} runs version ${worker.version}, this is ${version()}.`);
  const uptime = uptime_s === null ? "" : `, up ${durationOf(uptime_s)}`;
  return ok(subject, `${address}: ${worker.models.join(", ")}${uptime}`);
}
