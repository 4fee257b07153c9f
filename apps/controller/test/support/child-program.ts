/** Starts a program as a process of its own, which tests can kill and stop, and whose output they can read. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { closeLater } from "./stand-in.ts";

export interface Program {
  readonly child: ChildProcess;
  readonly address: string;
  readonly output: () => string;
  readonly ended: Promise<readonly unknown[]>;
}

/** Resolves when the program sends its address over IPC; throws what it wrote when it ends before. */
export async function start(file: URL, ...flags: readonly string[]): Promise<Program> {
  const child = fork(fileURLToPath(file), [...flags], { stdio: ["ignore", "pipe", "pipe", "ipc"] });
  // Not "close", which never comes once the parent has disconnected.
  const ended = once(child, "exit");
  let output = "";
  child.stdout?.on("data", (text: Buffer) => (output += text.toString()));
  child.stderr?.on("data", (text: Buffer) => (output += text.toString()));
  closeLater(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const address = await Promise.race([readyAddress(child), ended.then(() => null)]);
  if (address === null) throw new Error(output);
  return { child, address, output: () => output, ended };
}

/** The address that a program sends; a worker also sends how far its model is loaded. */
function readyAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.on("message", (message) => {
      if (typeof message === "object" && "address" in message) resolve(String(message.address));
    });
  });
}
