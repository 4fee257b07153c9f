/** One program running as a child: its start, its ready message, its last words and its end, in one place. */
import { fork, type ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { AppName } from "@llava/server/command";
import { environmentOf, nodeFlagsOf, programFile } from "./app-programs.ts";
import { isProgress, type Progress } from "../../output/progress-bar.ts";

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const MAX_LAST_WORDS = 4_000;
const KILL_AFTER_EXTRA_MS = 2_000;

/** Started on construction. Writes what the program logs to `onOutput` and keeps the end of what it said on stderr. */
export class Child {
  readonly name: string;
  /** The program's address once it says that it can serve; null when it ended before that. */
  readonly ready: Promise<string | null>;
  readonly ended: Promise<Ending>;
  readonly #process: ChildProcess;
  #lastWords = "";

  /** `env` is laid over our own environment; undefined takes a variable away. */
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
      // A process group of its own: Ctrl-C must reach only us, who then end everything in order. Windows has no groups.
      detached: process.platform !== "win32",
      env: { ...process.env, FORCE_COLOR: "0", ...environmentOf(program), ...env },
    });
    this.#process.stdout?.setEncoding("utf8").on("data", onOutput);
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-MAX_LAST_WORDS);
      onOutput(text);
    });
    this.ended = new Promise((resolve) => {
      this.#process.once("error", (error) => {
        this.#lastWords += error.message;
        resolve({ code: null, signal: null });
      });
      // "close", not "exit": only then has everything it said arrived.
      this.#process.once("close", (code, signal) => resolve({ code, signal }));
    });
    this.ready = Promise.race([this.#readyMessage(), this.ended.then(() => null)]);
  }

  /** Calls `listener` with how far a worker is with its model. */
  onProgress(listener: (progress: Progress) => void): void {
    this.#process.on("message", (message) => {
      const progress = progressIn(message);
      if (progress !== null) listener(progress);
    });
  }

  /** What it said last on stderr, as lines. */
  get lastWords(): string {
    return this.#lastWords.trim();
  }

  /** SIGTERM, and SIGKILL when it has not ended `graceMs` and a little later. */
  async stop(graceMs: number): Promise<void> {
    this.#process.kill("SIGTERM");
    const patience = new AbortController();
    const deadline = sleep(graceMs + KILL_AFTER_EXTRA_MS, undefined, { signal: patience.signal }).then(
      () => this.#process.kill("SIGKILL"),
      () => undefined,
    );
    await this.ended;
    patience.abort();
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
