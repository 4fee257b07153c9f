/** Where the other programs lie and how one is run in the foreground; the CLI starts them and never imports them. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const PROGRAMS = ["controller", "worker", "web"] as const;
export type Program = (typeof PROGRAMS)[number];

export function isProgram(name: string | undefined): name is Program {
  return PROGRAMS.some((program) => program === name);
}

export function programFile(program: Program): string {
  const url = program === "web" ? "../../web/src/server/main.ts" : `../../${program}/src/main.ts`;
  return fileURLToPath(new URL(url, import.meta.url));
}

/**
 * Threads of Node's pool in a worker. Each run of the model occupies one for its length, at most two at a time (a picture and
 * a step), and looking up names may take half the pool while a name server is silent; Node's four would then leave none
 * for files. Idle threads cost nothing, and the model's own threads are others. Only a new process can be told.
 */
const WORKER_POOL_THREADS = "8";

/** What a program finds in its environment beside ours; who runs us may have said otherwise. */
export function environmentOf(program: Program, own: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  if (program !== "worker" || own["UV_THREADPOOL_SIZE"] !== undefined) return {};
  return { UV_THREADPOOL_SIZE: WORKER_POOL_THREADS };
}

/** Runs a program with this terminal's input and output. @returns its exit code, 128 + n when signal n ended it */
export async function runProgram(program: Program, flags: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [programFile(program), ...flags], {
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

/** Ctrl-C reaches the child through the terminal by itself; here it must only not end the parent first. */
function ignore(): void {}
