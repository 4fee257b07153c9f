/** Runs one program as a child process: its start, its ready message, the end of its stderr and its exit. */
import { fork, type ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { AppName } from "@llava/server/command";
import { environmentOf, nodeFlagsOf, programFile } from "./app-programs.ts";
import { isProgress, type Progress } from "../../output/progress-bar.ts";

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const MAX_STDERR_TAIL = 4_000;
const KILL_AFTER_EXTRA_MS = 2_000;

/** Starts on construction. Passes the program's output to `onOutput` and keeps the end of its stderr. */
export class Child {
  readonly name: string;
  /** The program's address once it can serve; null when it ended before that. */
  readonly ready: Promise<string | null>;
  readonly ended: Promise<Ending>;
  readonly #process: ChildProcess;
  #stderrTail = "";

  /** `env` overrides variables of this environment; undefined removes one. */
  constructor(
    name: string,
    program: AppName,
    flags: readonly string[],
    onOutput: (text: string) => void,
    env: NodeJS.ProcessEnv = {},
  ) {
    this.name = name;
    this.#process = fork(programFile(program), [...flags], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      execArgv: [...process.execArgv, ...nodeFlagsOf(program)],
      // A process group of its own, so that Ctrl-C reaches only this process, which ends all in order. Windows has no groups.
      detached: process.platform !== "win32",
      env: { ...process.env, FORCE_COLOR: "0", ...environmentOf(program), ...env },
    });
    this.#process.stdout?.setEncoding("utf8").on("data", onOutput);
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderrTail = (this.#stderrTail + text).slice(-MAX_STDERR_TAIL);
      onOutput(text);
    });
    this.ended = new Promise((resolve) => {
      this.#process.once("error", (error) => {
        this.#stderrTail += error.message;
        resolve({ code: null, signal: null });
      });
      // "close", not "exit", because only then has all of its output arrived.
      this.#process.once("close", (code, signal) => resolve({ code, signal }));
    });
    this.ready = Promise.race([this.#readyMessage(), this.ended.then(() => null)]);
  }

  /** Calls `listener` with a worker's progress in loading its model. */
  onProgress(listener: (progress: Progress) => void): void {
    this.#process.on("message", (message) => {
      const progress = progressIn(message);
      if (progress !== null) listener(progress);
    });
  }

  /** The end of its stderr, as lines. */
  get stderrTail(): string {
    return this.#stderrTail.trim();
  }

  /** SIGTERM, and SIGKILL when it has not ended `graceMs` and a little later. */
  async stop(graceMs: number): Promise<void> {
    this.#process.kill("SIGTERM");
    const ended = new AbortController();
    const deadline = sleep(graceMs + KILL_AFTER_EXTRA_MS, undefined, { signal: ended.signal }).then(
      () => this.#process.kill("SIGKILL"),
      () => undefined,
    );
    await this.ended;
    ended.abort();
    await deadline;
  }

  #readyMessage(): Promise<string> {
    return new Promise((resolve) => {
      this.#process.on("message", (message) => {
        const address = addressIn(message);
        if (address !== null) resolve(address);
      });
    });
  }
}

/** "ended with exit code 3" or "was ended by SIGKILL". */
export function describeEnding(ending: Ending): string {
  if (ending.signal) return `was ended by ${ending.signal}`;
  return ending.code === null ? "could not be started" : `ended with exit code ${ending.code}`;
}

function progressIn(message: unknown): Progress | null {
  if (typeof message !== "object" || message === null) return null;
  if (!("type" in message) || message.type !== "progress" || !("progress" in message)) return null;
  return isProgress(message.progress) ? message.progress : null;
}

function addressIn(message: unknown): string | null {
  if (typeof message !== "object" || message === null) return null;
  if (!("type" in message) || message.type !== "ready" || !("address" in message)) return null;
  return typeof message.address === "string" ? message.address : null;
}
