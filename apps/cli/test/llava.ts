/** Runs the `llava` command as a child process, for tests. */
import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A running command; its output so far is in `out` and `err`. */
export class Llava {
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
  out = "";
  err = "";

  constructor(...flags: string[]) {
    this.child = spawn(process.execPath, [MAIN, ...flags], { stdio: ["pipe", "pipe", "pipe"] });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.out += text));
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.err += text));
    this.ended = new Promise((resolve) => {
      this.child.once("close", (code) => resolve({ code, out: this.out, err: this.err }));
    });
  }

  /** Gives it its whole input. */
  input(text: string): this {
    this.child.stdin?.end(text);
    return this;
  }
}

/** Runs it to its end, without input. */
export async function llava(...flags: string[]): Promise<Outcome> {
  return await new Llava(...flags).input("").ended;
}
