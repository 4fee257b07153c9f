/** A server of ours as a child process: to be killed, stopped, measured and held to what it writes. */
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
  /** Where it listens. */
  readonly address: string;
  /** Everything that a log must not hold: lines that are no JSON, secrets, failures that nobody caught. */
  readonly blemishes: readonly string[];
  /** Code or signal. */
  readonly ended: Promise<string>;
}

/** What Node writes of failures that no code of ours caught, and of emitters that leak. */
const UNCAUGHT = /unhandled|uncaught|MaxListenersExceeded|Error: |at file:\/\//i;
const MAX_BLEMISHES = 20;
const YOUNG_MIB = 4;
/**
 * Lets the parent ask for what is in memory after a collection, and binds the young generation, whose room is otherwise
 * doubled under load and kept: by tens of MiB, in which a leak would not be seen.
 */
const NODE_FLAGS = [
  "--expose-gc",
  `--max-semi-space-size=${YOUNG_MIB}`,
  "--import",
  new URL("./memory-probe.ts", import.meta.url).href,
];
const MIB = 2 ** 20;
const MAX_LINE = 400;

/** @param secrets texts that its log must not hold. @throws what it wrote when it ends before it listens */
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
  const blemishes: string[] = [];
  const note = (line: string): void => {
    if (blemishes.length < MAX_BLEMISHES) blemishes.push(line.slice(0, MAX_LINE));
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
    // A worker also tells how far the loading of its model is.
    child.on("message", (message) => {
      const address = addressIn(message);
      if (address !== null) resolve(address);
    });
  });
  const address = await Promise.race([ready, ended.then(() => null)]);
  // Its last words are read after it is gone.
  if (address === null) await Promise.race([once(child, "close"), sleep(1_000)]);
  if (address === null)
    throw new Error(`The ${kind} ended before it listened: ${[...blemishes, lastLine].join("\n")}`);
  return { name: kind, child, address, blemishes, ended };
}

export interface Footprint {
  readonly rssMiB: number;
  /** Open files and sockets. */
  readonly numFiles: number;
}

/** What a process holds; null where the system does not say. */
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

/** What is in use after a collection, in MiB. */
export interface Kept {
  /** Objects of JavaScript. */
  readonly heapMiB: number;
  /** What the engine of JavaScript has taken from the system for them. */
  readonly heapRoomMiB: number;
  /** Bytes of buffers, and what native code holds for objects. */
  readonly externalMiB: number;
}

/** @throws when the process is gone */
export async function kept({ name, child, ended }: Program): Promise<Kept> {
  const answer = new Promise<Kept>((resolve) => {
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

/** Of pino's highest level: nobody caught it. */
function isFatal(line: string): boolean {
  return line.includes('"level":60');
}

function addressIn(message: unknown): string | null {
  const isReady = typeof message === "object" && message !== null && "address" in message;
  return isReady ? String(message.address) : null;
}
