/** Starts our programs and the original's, each a process of its own that ends with its scope. */
import { fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export interface Program extends AsyncDisposable {
  readonly url: string;
  /** The last 20,000 characters that it has written. */
  readonly output: () => string;
}

export interface Original {
  /** The folder of a checkout of haotian-liu/LLaVA. */
  readonly folder: string;
  /** The Python that runs it. */
  readonly python: string;
  /** The folder in which its programs write their logs. */
  readonly scratch: string;
}

export const MODEL = "llava-demo";
const MODEL_FOLDER = fileURLToPath(new URL(`../../packages/demo/model/${MODEL}`, import.meta.url));
const MAIN = (app: string): string =>
  fileURLToPath(new URL(`../../apps/${app}/src/main.ts`, import.meta.url));
const HERE = fileURLToPath(new URL(".", import.meta.url));
const MAX_OUTPUT = 20_000;
/** How long a program may take to start, as Python's imports are slow on a busy machine. */
const START_TIMEOUT_MS = 300_000;

export async function startOurController(port: number): Promise<Program> {
  return startOurs("controller", ["--port", String(port), "--log-level", "warn"]);
}

export async function startOurWorker(controllerUrl: string): Promise<Program> {
  const flags = ["--port", "0", "--model-path", MODEL_FOLDER, "--controller-address", controllerUrl];
  return startOurs("worker", [...flags, "--heartbeat-interval", "1", "--log-level", "warn"]);
}

async function startOurs(app: string, flags: readonly string[]): Promise<Program> {
  const child = fork(MAIN(app), [...flags], { stdio: ["ignore", "pipe", "pipe", "ipc"] });
  const program = held(child, "");
  const url = await Promise.race([readyAddress(child), tooEarly(child, program)]);
  return { ...program, url };
}

/** The address at which a program listens; a worker also sends how far its model is loaded. */
function readyAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.on("message", (message) => {
      if (typeof message === "object" && "address" in message) resolve(String(message.address));
    });
  });
}

/** One of the original's servers; resolves when it takes connections. */
export async function startOriginal(
  original: Original,
  module: string,
  port: number,
  flags: readonly string[],
): Promise<Program> {
  const child = python(original, ["original.py", original.folder, module, ...flags]);
  const url = `http://127.0.0.1:${port}`;
  const program = held(child, url);
  const ended = tooEarly(child, program);
  ended.catch(() => undefined);
  const untilMs = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < untilMs) {
    const isThere = await Promise.race([
      fetch(url).then(
        () => true,
        () => false,
      ),
      ended,
    ]);
    if (isThere) return program;
    await sleep(200);
  }
  await program[Symbol.asyncDispose]();
  throw new Error(`${module} did not listen within ${START_TIMEOUT_MS / 1000} s: ${lastLine(program)}`);
}

/** One of the original's programs, or a script of this folder, to its end. @throws what it wrote when it fails */
export async function runOriginal(original: Original, argv: readonly string[]): Promise<string> {
  const child = python(original, argv);
  const timer = setTimeout(() => child.kill("SIGKILL"), START_TIMEOUT_MS);
  const program = held(child, "");
  const [code, killedBy]: unknown[] = await once(child, "close");
  clearTimeout(timer);
  if (killedBy === "SIGKILL") throw new Error(`it did not end within ${START_TIMEOUT_MS / 1000} s`);
  if (code !== 0) throw new Error(lastLine(program));
  return program.output();
}

/** The notes in a run's output about the parts of the original that were replaced. */
export function notesIn(output: string): string {
  return [...output.matchAll(/^NOTE (.*)$/gm)].map(([, note]) => note).join("; ");
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof bound === "object" && bound !== null ? bound.port : 0;
}

function python(
  { python: file, scratch }: Original,
  [script = "", ...flags]: readonly string[],
): ChildProcess {
  const env = {
    ...process.env,
    PYTHONUNBUFFERED: "1",
    PYTHONDONTWRITEBYTECODE: "1",
    GRADIO_ANALYTICS_ENABLED: "False",
  };
  return spawn(file, [HERE + script, ...flags], { cwd: scratch, env, stdio: ["ignore", "pipe", "pipe"] });
}

function held(child: ChildProcess, url: string): Program {
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (text: Buffer) => (output = (output + text.toString()).slice(-MAX_OUTPUT)));
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  return { url, output: () => output, [Symbol.asyncDispose]: end };
}

async function tooEarly(child: ChildProcess, program: Program): Promise<never> {
  await once(child, "exit");
  throw new Error(lastLine(program));
}

/** The last line is the one in which Python names the error. */
function lastLine(program: Program): string {
  return program.output().trim().split("\n").at(-1)?.slice(0, 300) ?? "it wrote nothing";
}
