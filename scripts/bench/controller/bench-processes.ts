/** The processes of the bench: a controller with the probe in it, and fake workers. Each ends with the scope that started it. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { MEASURE, type Measured } from "./delay-probe.ts";

const CONTROLLER = fileURLToPath(new URL("../../../apps/controller/src/main.ts", import.meta.url));
const WORKERS = fileURLToPath(new URL("./fake-workers.ts", import.meta.url));
const BARE_RELAY = fileURLToPath(new URL("./bare-relay.ts", import.meta.url));
const PROBE = new URL("./delay-probe.ts", import.meta.url).href;
/** As `llava controller` and `llava serve` start it (apps/cli/src/commands/serve/app-programs.ts). */
const NODE_FLAGS = ["--initial-old-space-size=128"];

export interface Controller extends AsyncDisposable {
  readonly url: string;
  /** The load since the last call. */
  readonly measure: () => Promise<Measured>;
}

function measureOf(child: ChildProcess): Controller["measure"] {
  return async () => {
    child.send(MEASURE);
    const { measured } = await replyOf(child, "measured");
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- sent by delay-probe.ts, of this folder
    return measured as Measured;
  };
}

/** @param profileFolder where a CPU profile is written when it ends */
export async function startController(
  flags: readonly string[],
  profileFolder: string | undefined,
): Promise<Controller> {
  const profile =
    profileFolder === undefined
      ? []
      : ["--cpu-prof", "--cpu-prof-dir", profileFolder, "--cpu-prof-interval", "200"];
  const child = start(CONTROLLER, ["--port", "0", ...flags], [...NODE_FLAGS, "--import", PROBE, ...profile]);
  const { address } = await replyOf(child, "ready");
  return {
    url: String(address),
    measure: measureOf(child),
    [Symbol.asyncDispose]: () => end(child),
  };
}

/** A relay that does nothing else. */
export async function startBareRelay(workerUrl: string): Promise<AsyncDisposable & { readonly url: string }> {
  const child = start(BARE_RELAY, [workerUrl], []);
  const { address } = await replyOf(child, "ready");
  return { url: String(address), [Symbol.asyncDispose]: () => end(child) };
}

export interface Beats {
  readonly sent: number;
  /** Not answered within the time of a worker's heartbeat. */
  readonly failed: number;
  /** Answered by a controller that did not know the worker any more. */
  readonly forgotten: number;
}

export interface Workers extends Controller {
  /** The first worker's address. */
  readonly url: string;
  readonly beats: () => Promise<Beats>;
  /** Ends every stream in order; those that come later end at once. */
  readonly finish: () => void;
}

export interface WorkersPlan {
  readonly count: number;
  readonly heartbeatMs: number;
  /** Between two pieces of an answer, which then goes on until `finish`; 0 says all at once. */
  readonly pieceMs: number;
}

/** Resolves when all are registered. */
export async function startWorkers(controllerUrl: string, plan: WorkersPlan): Promise<Workers> {
  const child = start(WORKERS, [controllerUrl, JSON.stringify(plan)], ["--import", PROBE]);
  const { address } = await replyOf(child, "ready");
  return {
    url: String(address),
    beats: async () => {
      child.send("beats");
      const { beats } = await replyOf(child, "beats");
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- sent by fake-workers.ts, of this folder
      return beats as Beats;
    },
    finish: () => void child.send("finish"),
    measure: measureOf(child),
    [Symbol.asyncDispose]: () => end(child),
  };
}

function start(file: string, flags: readonly string[], execArgv: readonly string[]): ChildProcess {
  // Log lines are written, as they always are, but to nowhere.
  return fork(file, [...flags], { execArgv: [...execArgv], stdio: ["ignore", "ignore", "inherit", "ipc"] });
}

async function replyOf(child: ChildProcess, type: string): Promise<Readonly<Record<string, unknown>>> {
  const ended = once(child, "exit").then(() => {
    throw new Error("A process of the bench ended too early; what it wrote is above.");
  });
  ended.catch(() => undefined);
  while (true) {
    const [message]: unknown[] = await Promise.race([once(child, "message"), ended]);
    if (typeof message === "object" && message !== null && "type" in message && message.type === type)
      return { ...message };
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}
