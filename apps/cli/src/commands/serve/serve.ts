/** Runs `llava serve`: controller, workers and page start together, are announced once and end together. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { TOKEN_VARIABLE, type AppName } from "@llava/server/command";
import { LlavaError } from "@llava/protocol";
import { Child, describeEnding } from "./child.ts";
import { forgetDeadWorkers, listedModels } from "../controller-client.ts";
import { requireFreePorts } from "./ports.ts";
import { progressBar } from "../../output/progress-bar.ts";
import type { ServeFlags } from "../../options/command-options.ts";
import {
  childFlags,
  planServe,
  readyBlock,
  shownName,
  wantedPorts,
  type ServePlan,
  type WorkerPlan,
} from "./serve-plan.ts";

/** Where `serve` writes: the ready block to `out`, everything that fails to `err`. */
interface Output {
  out(text: string): void;
  err(text: string): void;
}

const MAX_UNREAD_BYTES = 1 << 20;
const NOTICE_AFTER_MS = 8_000;
const LISTED_WITHIN_MS = 30_000;
const STABLE_AFTER_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/** Serves until Ctrl-C, SIGTERM or SIGHUP; a second one of them ends at once. */
export async function serveUntilStopped(flags: ServeFlags): Promise<void> {
  const stop = new AbortController();
  const onSignal = (): void => (stop.signal.aborted ? process.exit(1) : stop.abort());
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, onSignal);
  const output: Output = { out: lineWriter(process.stdout), err: lineWriter(process.stderr) };
  await serve(planServe(flags), output, stop.signal);
}

/** Text is lost when the disk is full or its reader is gone or too slow; the service goes on. */
function lineWriter(stream: NodeJS.WriteStream): (text: string) => void {
  stream.on("error", () => undefined);
  return (text) => {
    if (stream.writableLength < MAX_UNREAD_BYTES) stream.write(text);
  };
}

/**
 * Runs until `signal` aborts (resolves) or a program ends that the others cannot do without (throws a sentence).
 * Every child has ended when this settles.
 */
async function serve(plan: ServePlan, output: Output, signal: AbortSignal): Promise<void> {
  await requireFreePorts(wantedPorts(plan));
  const service = new Service(plan, output);
  const stopped = new Promise<void>((done) => signal.addEventListener("abort", () => done(), { once: true }));
  try {
    await Promise.race([service.run(), stopped]);
  } finally {
    await service.stop();
  }
}

class Service {
  readonly #plan: ServePlan;
  readonly #output: Output;
  readonly #children = new Set<Child>();
  readonly #stop = new AbortController();
  /** Cluster token of controller and workers, passed in their environment because arguments are visible to all users. */
  readonly #token = process.env[TOKEN_VARIABLE] ?? randomBytes(32).toString("hex");

  constructor(plan: ServePlan, output: Output) {
    this.#plan = plan;
    this.#output = output;
  }

  async run(): Promise<never> {
    const controller = this.#start("controller", "controller", childFlags.controller(this.#plan));
    const controllerUrl = await this.#readyOrThrow(controller);
    const page = this.#start("page", "web", childFlags.web(this.#plan, controllerUrl));
    const workers = this.#plan.workers.map((worker) => this.#startWorker(worker, controllerUrl));
    const death = this.#deathOf(controller, page);
    const starting = Promise.all([page, ...workers].map((child) => this.#readyOrThrow(child)));
    const notice = setTimeout(
      () => this.#output.err("The model is being loaded; a large one takes a while.\n"),
      NOTICE_AFTER_MS,
    );
    const [pageUrl = "", ...workerUrls] = await Promise.race([starting, death]).finally(() =>
      clearTimeout(notice),
    );
    await Promise.race([this.#listed(controllerUrl), death]);
    this.#output.out(readyBlock(this.#plan, { pageUrl, controllerUrl, workerUrls }));
    await Promise.race([
      death,
      Promise.all(workers.map((worker, index) => this.#keepWorker(worker, index, controllerUrl))),
    ]);
    return death;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all([...this.#children].map((child) => child.stop(this.#plan.drainTimeoutS * 1000)));
  }

  #start(name: string, program: AppName, flags: readonly string[]): Child {
    const onOutput = (text: string): void =>
      this.#plan.isVerbose ? this.#output.err(withName(name, text)) : undefined;
    const token = program === "web" ? undefined : this.#token;
    const child = new Child(name, program, flags, onOutput, { [TOKEN_VARIABLE]: token });
    this.#children.add(child);
    void child.ended.then(() => this.#children.delete(child));
    return child;
  }

  #startWorker(worker: WorkerPlan, controllerUrl: string): Child {
    const child = this.#start(
      `worker of ${shownName(worker)}`,
      "worker",
      childFlags.worker(this.#plan, worker, controllerUrl),
    );
    child.onProgress(
      progressBar({ isTTY: process.stderr.isTTY, write: (text) => this.#output.err(text) }, child.name),
    );
    return child;
  }

  /** Starts a worker again whenever it ends, after 1 s, 2 s … 30 s; one that lived for a minute begins at 1 s. */
  async #keepWorker(first: Child, index: number, controllerUrl: string): Promise<void> {
    const plan = this.#plan.workers[index];
    if (!plan) return;
    let worker = first;
    let pauseMs = FIRST_PAUSE_MS;
    for (;;) {
      const startedMs = performance.now();
      const ending = await worker.ended;
      if (performance.now() - startedMs > STABLE_AFTER_MS) pauseMs = FIRST_PAUSE_MS;
      if (this.#stop.signal.aborted) return;
      this.#output.err(
        `The ${worker.name} ${describeEnding(ending)}; it is started again in ${pauseMs / 1000} s.${stderrOf(worker)}\n`,
      );
      await forgetDeadWorkers(controllerUrl);
      await sleep(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      if (this.#stop.signal.aborted) return;
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      worker = this.#startWorker(plan, controllerUrl);
      void this.#announceReturn(worker);
    }
  }

  async #announceReturn(worker: Child): Promise<void> {
    const address = await worker.ready;
    if (address !== null) this.#output.err(`The ${worker.name} is back on ${address}.\n`);
  }

  async #readyOrThrow(child: Child): Promise<string> {
    const address = await child.ready;
    if (address !== null) return address;
    throw ended(child, `${describeEnding(await child.ended)} before it could serve.`);
  }

  /** Rejects when one of these ends: without the controller or the page there is no service. */
  async #deathOf(...children: readonly Child[]): Promise<never> {
    const first = await Promise.race(children.map(async (child) => ({ child, ending: await child.ended })));
    throw ended(first.child, `${describeEnding(first.ending)}, so everything was stopped.`);
  }

  /** Waits until the controller lists the models: only then is the printed address true. */
  async #listed(controllerUrl: string): Promise<void> {
    const wanted = new Set(this.#plan.workers.map(shownName)).size;
    const deadlineMs = performance.now() + LISTED_WITHIN_MS;
    while (performance.now() < deadlineMs && !this.#stop.signal.aborted) {
      if ((await listedModels(controllerUrl)).length >= wanted) return;
      await sleep(50);
    }
  }
}

function ended(child: Child, how: string): LlavaError {
  return new LlavaError("runtime_failure", `The ${child.name} ${how}${stderrOf(child)}`);
}

/** The end of the program's stderr, which has the reason. */
function stderrOf(child: Child): string {
  return child.stderrTail === "" ? "" : `\n${withName(child.name, child.stderrTail)}`.trimEnd();
}

function withName(name: string, text: string): string {
  return text.trimEnd().replaceAll(/^/gm, `[${name}] `) + "\n";
}
