/** Starts one of the programs to compare in a process of its own, and asks it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { z } from "zod";
import type { Figures, Order } from "./peer.ts";

const answerSchema = z.union([z.object({ error: z.string() }), z.record(z.string(), z.number())]);

/** Linux counts a process's CPU time in hundredths of a second. */
const TICK_MS = 10;

export interface Memory {
  /** Resident now, MiB: memory of its own, and pages of mapped files. */
  readonly ownMiB: number;
  readonly mappedMiB: number;
  /** Resident at most so far. */
  readonly peakMiB: number;
}

export class PeerProcess implements AsyncDisposable {
  readonly name: string;
  /** From the call until the model could be asked, by the program's own clock. */
  readonly loadMs: number;
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  private constructor(name: string, child: ChildProcess, answers: AsyncIterator<string>, loadMs: number) {
    this.name = name;
    this.loadMs = loadMs;
    this.#child = child;
    this.#answers = answers;
  }

  /** Resolves when the model is loaded. Rejects when the program ends first; it says why on standard error. */
  static async start(name: string, command: string, args: readonly string[]): Promise<PeerProcess> {
    const child = spawn(command, args, { stdio: ["pipe", process.stderr, process.stderr, "pipe"] });
    await once(child, "spawn");
    const answers = createInterface({ input: child.stdio[3] as Readable })[Symbol.asyncIterator]();
    const { loadMs = Number.NaN } = await nextAnswer(name, answers);
    return new PeerProcess(name, child, answers, loadMs);
  }

  async ask(order: Order): Promise<Figures> {
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    return await nextAnswer(this.name, this.#answers);
  }

  /** Undefined where the system does not tell (all but Linux). */
  async memory(): Promise<Memory | undefined> {
    const status = await readFile(`/proc/${this.#child.pid}/status`, "utf8").catch(() => "");
    const field = (name: string): number =>
      Number(new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
    const memory = { ownMiB: field("RssAnon"), mappedMiB: field("RssFile"), peakMiB: field("VmHWM") };
    return Number.isNaN(memory.ownMiB) ? undefined : memory;
  }

  /** CPU time that it takes while nothing is asked, percent of a core. */
  async idleCpu(seconds: number): Promise<number | undefined> {
    const before = await this.cpuMs();
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    const after = await this.cpuMs();
    return before === undefined || after === undefined ? undefined : (after - before) / (10 * seconds);
  }

  /** CPU time that it took so far; undefined where the system does not tell. */
  async cpuMs(): Promise<number | undefined> {
    const stat = await readFile(`/proc/${this.#child.pid}/stat`, "utf8").catch(() => "");
    // The name, which may hold spaces, is in parentheses; user and system time are the 12th and 13th field after it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(fields[11]) + Number(fields[12]);
    return Number.isNaN(ticks) ? undefined : ticks * TICK_MS;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    await gone;
    clearTimeout(timer);
  }
}

async function nextAnswer(name: string, answers: AsyncIterator<string>): Promise<Figures> {
  const { done, value } = await answers.next();
  if (done) throw new Error(`${name} ended before it answered.`);
  const answer = answerSchema.parse(JSON.parse(value));
  if (typeof answer["error"] === "string") throw new Error(`${name}: ${answer["error"]}`);
  return answer as Figures;
}
