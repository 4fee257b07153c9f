/** Starts a server of this project as a child process, which can be killed, stopped and measured, and checks its log. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const FILES = {
  controller: "../../../apps/controller/src/main.ts",
  worker: "../../../apps/worker/src/main.ts",
};

export type ProgramKind = keyof typeof FILES;

export interface Program {
  readonly name: ProgramKind;
  readonly child: ChildProcess;
  /** The URL at which it listens. */
  readonly address: string;
  /** Lines that its log must not have: no JSON, a secret, an exception that was not caught. At most 20. */
  readonly logFaults: readonly string[];
  /** Resolves with its exit code or signal. */
  readonly ended: Promise<string>;
}

/** What Node writes for exceptions that were not caught, and for event emitters that leak listeners. */
const UNCAUGHT = /unhandled|uncaught|MaxListenersExceeded|Error: |at file:\/\//i;
const MAX_LOG_FAULTS = 20;
/** The size of V8's young generation. */
const YOUNG_MIB = 4;
/**
 * Flags that let the parent ask for the memory in use after a collection, and limit the young generation. Without a limit
 * it is doubled under load and stays so, by tens of MiB, among which a leak would not be seen.
 */
const NODE_FLAGS = [
  "--expose-gc",
  `--max-semi-space-size=${YOUNG_MIB}`,
  "--import",
  new URL("./memory-probe.ts", import.meta.url).href,
];
const MIB = 2 ** 20;
const MAX_LINE = 400;

/**
 * @param options.secrets texts that its log must not have in it
 * @throws with what it wrote when it ends before it listens
 */
export async function startProgram(
  kind: ProgramKind,
  flags: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly secrets?: readonly string[] } = {},
): Promise<Program> {
  const file = fileURLToPath(new URL(FILES[kind], import.meta.url));
  const child = fork(file, [...flags], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    execArgv: NODE_FLAGS,
    env: { ...process.env, FORCE_COLOR: "0", ...options.env },
  });
  const logFaults: string[] = [];
  const note = (line: string): void => {
    if (logFaults.length < MAX_LOG_FAULTS) logFaults.push(line.slice(0, MAX_LINE));
  };
  const secrets = options.secrets ?? [];
  let lastLine = "";
  readLines(child.stdout, (line) => {
    lastLine = line;
    if (!isJson(line) || isFatal(line) || secrets.some((secret) => line.includes(secret))) note(line);
  });
  readLines(child.stderr, (line) => {
    lastLine = line;
    if (UNCAUGHT.test(line) || secrets.some((secret) => line.includes(secret))) note(line);
  });
  const ended = new Promise<string>((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? String(code)));
  });
  const ready = new Promise<string>((resolve) => {
    // A worker also sends how far its model is loaded.
    child.on("message", (message) => {
      const address = addressIn(message);
      if (address !== null) resolve(address);
    });
  });
  const address = await Promise.race([ready, ended.then(() => null)]);
  // Its last lines are read after it has ended.
  if (address === null) await Promise.race([once(child, "close"), sleep(1_000)]);
  if (address === null)
    throw new Error(`The ${kind} ended before it listened: ${[...logFaults, lastLine].join("\n")}`);
  return { name: kind, child, address, logFaults, ended };
}

export interface Footprint {
  readonly rssMiB: number;
  /** Open files and sockets. */
  readonly numFiles: number;
}

/** The memory and files of a process; null where the system has no /proc. */
export function footprint({ child }: Program): Footprint | null {
  try {
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    const rssKiB = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN);
    return { rssMiB: rssKiB / 1024, numFiles: readdirSync(`/proc/${child.pid}/fd`).length };
  } catch {
    return null;
  }
}

const memorySchema = z.object({
  memory: z.object({ heapUsed: z.number(), heapTotal: z.number(), external: z.number() }),
});

/** The memory in use after a collection, in MiB. */
export interface HeapUse {
  /** The memory of JavaScript objects. */
  readonly heapMiB: number;
  /** The memory that V8 has taken from the system for them. */
  readonly heapRoomMiB: number;
  /** The memory of buffers, and what native code keeps for objects. */
  readonly externalMiB: number;
}

/** @throws when the process is gone */
export async function heapUseOf({ name, child, ended }: Program): Promise<HeapUse> {
  const answer = new Promise<HeapUse>((resolve) => {
    child.on("message", function read(message) {
      const parsed = memorySchema.safeParse(message);
      if (!parsed.success) return;
      child.off("message", read);
      const { heapUsed, heapTotal, external } = parsed.data.memory;
      resolve({ heapMiB: heapUsed / MIB, heapRoomMiB: heapTotal / MIB, externalMiB: external / MIB });
    });
  });
  child.send("memory");
  const found = await Promise.race([answer, ended]);
  if (typeof found === "string")
    throw new Error(`The ${name} ended with ${found} instead of saying what it holds.`);
  return found;
}

function readLines(stream: NodeJS.ReadableStream | null, take: (line: string) => void): void {
  let rest = "";
  stream?.setEncoding("utf8");
  stream?.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") take(line);
  });
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

/** Whether a log line has pino's highest level, that of exceptions that were not caught. */
function isFatal(line: string): boolean {
  return line.includes('"level":60');
}

function addressIn(message: unknown): string | null {
  const isReady = typeof message === "object" && message !== null && "address" in message;
  return isReady ? String(message.address) : null;
}
