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

/** Runs a program with this terminal's input and output. @returns its exit code, 128 + n when signal n ended it */
export async function runProgram(program: Program, flags: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [programFile(program), ...flags], { stdio: "inherit" });
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
