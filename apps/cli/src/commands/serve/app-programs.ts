/** Finds the files of the other programs and runs one in the foreground; the CLI starts them and never imports them. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { APPS, type AppName } from "@llava/server/command";

export function isProgram(name: string | undefined): name is AppName {
  return APPS.some((program) => program === name);
}

export function programFile(program: AppName): string {
  const url = program === "web" ? "../../../../web/src/server/main.ts" : `../../../../${program}/src/main.ts`;
  return fileURLToPath(new URL(url, import.meta.url));
}

/**
 * Threads of Node's pool in a worker. Each run of the model occupies one for its length, at most two at a time (an image and
 * a step), and DNS lookups may take half of the pool while a name server does not answer; Node's four would then leave none
 * for files. Idle threads cost nothing, and the model has threads of its own. Can only be set for a new process.
 */
const WORKER_POOL_THREADS = "8";

/** Variables for a program beside this environment, unless that has a value of its own. */
export function environmentOf(program: AppName, own: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  if (program !== "worker" || own["UV_THREADPOOL_SIZE"] !== undefined) return {};
  return { UV_THREADPOOL_SIZE: WORKER_POOL_THREADS };
}

/**
 * Memory, in MiB, that bodies may take before the controller's garbage collector runs. Its own measure is the heap, which is
 * a fraction of that: collections of some 10 ms at every tenth image of 1 MB, in which every stream stands still, became
 * collections at every thirtieth. The memory in use is the same. Can only be set for a new process.
 */
const CONTROLLER_HEAP_MIB = 128;

/** Flags of Node for the program, beside those of this process. */
export function nodeFlagsOf(program: AppName): readonly string[] {
  return program === "controller" ? [`--initial-old-space-size=${CONTROLLER_HEAP_MIB}`] : [];
}

/** Runs a program with this terminal's input and output. @returns its exit code, 128 + n when signal n ended it */
export async function runProgram(program: AppName, flags: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [...nodeFlagsOf(program), programFile(program), ...flags], {
    stdio: "inherit",
    env: { ...process.env, ...environmentOf(program) },
  });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on("SIGTERM", forward);
  process.on("SIGHUP", forward);
  process.on("SIGINT", ignore);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
    });
  } finally {
    process.off("SIGTERM", forward);
    process.off("SIGHUP", forward);
    process.off("SIGINT", ignore);
  }
}

/** Ignores Ctrl-C, which reaches the child through the terminal, so that the parent does not end first. */
function ignore(): void {}
