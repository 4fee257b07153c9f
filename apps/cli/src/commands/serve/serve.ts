/** `llava serve`: controller, workers and page as one thing that starts together, is announced once and ends together. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { TOKEN_VARIABLE, type AppName } from "@llava/server/command";
import { LlavaError } from "@llava/protocol";
import { Child, describeEnding } from "./child.ts";
import { forgetDeadWorkers, listedModels } from "../controller-client.ts";
import { requireFreePorts } from "./ports.ts";
import { progressBar } from "../../output/progress-bar.ts";
import type { ServeFlags } from "../../command-options.ts";
import {
  childFlags,
  planServe,
  readyBlock,
  shownName,
  wantedPorts,
  type ServePlan,
  type WorkerPlan,
} from "./serve-plan.ts";

/** Where `serve` writes: the block for the person to `out`, everything that goes wrong to `err`. */
interface Voice {
  out(text: string): void;
  err(text: string): void;
}

const MAX_UNREAD_BYTES = 1 << 20;
const PATIENCE_MS = 8_000;
const LISTED_WITHIN_MS = 30_000;
const LIVED_WELL_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/** Serves until Ctrl-C, SIGTERM or SIGHUP; a second one of them ends at once. */
export async function serveUntilStopped(flags: ServeFlags): Promise<void> {
  const stop = new AbortController();
  const onSignal = (): void => (stop.signal.aborted ? process.exit(1) : stop.abort());
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, onSignal);
  const voice: Voice = { out: speaker(process.stdout), err: speaker(process.stderr) };
  await serve(planServe(flags), voice, stop.signal);
}

/** What is said is lost when the disk is full, or when nobody reads it any more or not fast enough; the service goes on. */
function speaker(stream: NodeJS.WriteStream): (text: string) => void {
  stream.on("error", () => undefined);
  return (text) => {
    if (stream.writableLength < MAX_UNREAD_BYTES) stream.write(text);
  };
}

/**
 * Runs until `signal` aborts (resolves) or a program ends that the others cannot do without (throws a sentence).
 * Every child has ended when this settles.
 */
async function serve(plan: ServePlan, voice: Voice, signal: AbortSignal): Promise<void> {
  await requireFreePorts(wantedPorts(plan));
  const service = new Service(plan, voice);
  const stopped = new Promise<void>((done) => signal.addEventListener("abort", () => done(), { once: true }));
  try {
    await Promise.race([service.run(), stopped]);
  } finally {
    await service.stop();
  }
}

class Service {
  readonly #plan: ServePlan;
  readonly #voice: Voice;
  readonly #children = new Set<Child>();
  readonly #stop = new AbortController();
  /** By which controller and workers know each other: in their environment, for arguments are seen by everybody. */
  readonly #token = process.env[TOKEN_VARIABLE] ?? randomBytes(32).toString("hex");

  constructor(plan: ServePlan, voice: Voice) {
    this.#plan = plan;
    this.#voice = voice;
  }

  async run(): Promise<never> {
    const controller = this.#start("controller", "controller", childFlags.controller(this.#plan));
    const controllerUrl = await this.#readyOrThrow(controller);
    const page = this.#start("page", "web", childFlags.web(this.#plan, controllerUrl));
    const workers = this.#plan.workers.map((worker) => this.#startWorker(worker, controllerUrl));
    const death = this.#deathOf(controller, page);
    const starting = Promise.all([page, ...workers].map((child) => this.#readyOrThrow(child)));
    const patience = setTimeout(
      () => this.#voice.err("The model is being loaded; a large one takes a while.\n"),
      PATIENCE_MS,
    );
    const [pageUrl = "", ...workerUrls] = await Promise.race([starting, death]).finally(() =>
      clearTimeout(patience),
    );
    await Promise.race([this.#listed(controllerUrl), death]);
    this.#voice.out(readyBlock(this.#plan, { pageUrl, controllerUrl, workerUrls }));
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
    const say = (text: string): void =>
      this.#plan.isVerbose ? this.#voice.err(withName(name, text)) : undefined;
    const token = program === "web" ? undefined : this.#token;
    const child = new Child(name, program, flags, say, { [TOKEN_VARIABLE]: token });
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
      progressBar({ isTTY: process.stderr.isTTY, write: (text) => this.#voice.err(text) }, child.name),
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
      if (performance.now() - startedMs > LIVED_WELL_MS) pauseMs = FIRST_PAUSE_MS;
      if (this.#stop.signal.aborted) return;
      this.#voice.err(
        `The ${worker.name} ${describeEnding(ending)}; it is started again in ${pauseMs / 1000} s.${quoted(worker)}\n`,
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
    if (address !== null) this.#voice.err(`The ${worker.name} is back on ${address}.\n`);
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
  return new LlavaError("runtime_failure", `The ${child.name} ${how}${quoted(child)}`);
}

/** The end of what the program said on stderr: it says why in its own words. */
function quoted(child: Child): string {
  return child.lastWords === "" ? "" : `\n${withName(child.name, child.lastWords)}`.trimEnd();
}

function withName(name: string, text: string): string {
  return text.trimEnd().replaceAll(/^/gm, `[${name}] `) + "\n";
}
