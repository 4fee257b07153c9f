/** Starts one decoding process, gives it one task at a time, and kills it when it takes too long or its task is cancelled. */
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { LlavaError } from "@llava/protocol";
import type { ImageReply, ImageTask } from "./decode-process.ts";

const PROGRAM = fileURLToPath(new URL("./decode-process.ts", import.meta.url));
/** Heap of JavaScript alone; pixels lie outside. */
const HEAP_MIB = 256;
/** All that the process needs of our environment, which may hold secrets. */
const VARIABLES = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR"];
/** A machine that swaps may need long to start a process; one that hangs must not hold a place for ever. */
const START_MS = 30_000;

/** A process ended before it replied to its task. */
export class DecodeProcessEnded extends Error {
  /** True when it ended by itself: the image, or what the system allows, was too much for it. */
  readonly isCrash: boolean;

  constructor(isCrash: boolean, how: string) {
    super(`The decoding process ${how}.`);
    this.isCrash = isCrash;
  }
}

export class DecodeProcess {
  readonly #child: ChildProcess;
  readonly #ready: Promise<void>;
  #isKilled = false;
  #isLate = false;

  /** @param memoryBytes what it may allocate, where the system can limit it (Linux) */
  constructor(memoryBytes: number) {
    this.#child = start(memoryBytes);
    this.#child.on("error", () => undefined);
    // An idle process must not keep this one running.
    this.#setReferenced(false);
    this.#ready = this.#start();
    // A task that waits for the start gets its error; without a task there must be no unhandled rejection.
    this.#ready.catch(() => undefined);
  }

  get isAlive(): boolean {
    return !this.#isKilled && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /**
   * Rejects with `DecodeProcessEnded` when the process ends meanwhile, after `timeoutMs`, not counting its start, or when
   * `signal` aborts; the latter two kill it.
   */
  async run(task: ImageTask, timeoutMs: number, signal: AbortSignal): Promise<ImageReply> {
    const kill = (): void => this.kill();
    signal.addEventListener("abort", kill, { once: true });
    this.#setReferenced(true);
    try {
      await this.#ready;
      const reply = this.#reply(timeoutMs);
      this.#child.send(task, () => undefined);
      return await reply;
    } finally {
      signal.removeEventListener("abort", kill);
      this.#setReferenced(false);
    }
  }

  kill(): void {
    this.#isKilled = true;
    this.#child.kill("SIGKILL");
  }

  async #start(): Promise<void> {
    await this.#reply(START_MS).catch((cause: unknown) => {
      if (cause instanceof DecodeProcessEnded && !cause.isCrash && !this.#isLate) throw cause;
      // The process has not seen the image, which must not be blamed.
      throw new LlavaError(
        "runtime_failure",
        "The process that decodes images could not be started. The server's log may say why; try again.",
        { cause },
      );
    });
  }

  async #reply(timeoutMs: number): Promise<ImageReply> {
    const { promise, resolve, reject } = Promise.withResolvers<ImageReply>();
    const timer = setTimeout(() => {
      this.#isLate = true;
      this.kill();
    }, timeoutMs);
    const end = (): void => reject(this.#ending());
    // Only our own program writes to this channel.
    this.#child.on("message", resolve).on("exit", end).on("error", end);
    if (!this.isAlive) end();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#child.off("message", resolve).off("exit", end).off("error", end);
    }
  }

  #ending(): DecodeProcessEnded {
    const { exitCode, signalCode } = this.#child;
    return new DecodeProcessEnded(!this.#isKilled, `ended (${signalCode ?? exitCode ?? "never started"})`);
  }

  #setReferenced(isReferenced: boolean): void {
    if (isReferenced) {
      this.#child.ref();
      this.#child.channel?.ref();
    } else {
      this.#child.unref();
      this.#child.channel?.unref();
    }
  }
}

function start(memoryBytes: number): ChildProcess {
  const kibibytes = Math.floor(memoryBytes / 1024);
  // A shell that sets the limits and then becomes Node; no core dump, which would hold the image.
  const limited = `ulimit -c 0; ulimit -d ${kibibytes}; exec "$0" "$@"`;
  const isLimited = process.platform === "linux";
  return fork(PROGRAM, {
    execPath: isLimited ? "/bin/sh" : process.execPath,
    execArgv: [...(isLimited ? ["-c", limited, process.execPath] : []), `--max-old-space-size=${HEAP_MIB}`],
    env: {
      ...Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]])),
      UV_THREADPOOL_SIZE: "2",
      // libvips reports each damaged image on stderr; clients must not be able to fill our logs.
      VIPS_WARNING: "0",
    },
    // Buffers as they are, not as JSON.
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
}
