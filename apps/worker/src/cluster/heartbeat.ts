/** Heartbeat registers a worker with one controller and reports to it, so that a slow or missing controller delays no request. */
import { setTimeout as sleep } from "node:timers/promises";
import { signedHeaders } from "@llava/server";
import { parseErrorBody, type HeartBeat, type RegisterWorker, type WorkerStatus } from "@llava/protocol";

export interface HeartbeatOptions {
  readonly controllerUrl: string;
  /** The address at which the controller calls the worker. */
  readonly workerAddress: string;
  readonly status: () => WorkerStatus;
  readonly intervalMs: number;
  /** The token of the cluster; null signs nothing. */
  readonly token?: string | null;
  readonly log: HeartbeatLog;
}

interface HeartbeatLog {
  info(sentence: string): void;
  warn(sentence: string): void;
}

const ANSWER_TIMEOUT_MS = 5_000;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;
const MAX_ANSWER_LENGTH = 64 * 1024;
/** Time that a worker which ends waits for a controller's answer. */
const DEREGISTER_TIMEOUT_MS = 1_000;

/**
 * Registers, then reports every `intervalMs` until stopped. A controller that is down is tried again for ever (after
 * 0.25 s, doubling to 5 s), with one sentence in the log when it is lost and one when it is back; one that does not know the
 * worker any more (`exist: false`) gets a new registration at once. Never throws. A worker has one for each controller.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #stop = new AbortController();
  #isLost = false;
  #isRegistered = false;
  /** Number of the last report; the controller drops a report that a later one has overtaken. */
  #seq = 0;
  /** Ends the pause between two reports. */
  #wake = new AbortController();
  /** Resolvers of `reportNow`, which waits for a report that begins after its call. */
  #waiting: (() => void)[] = [];
  #finished: Promise<void> = Promise.resolve();

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  start(): void {
    this.#finished = this.#run();
  }

  /** Reports at once. Resolves when the controller has answered, or after a second. */
  async reportNow(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    this.#wake.abort();
    const timeout = sleep(DEREGISTER_TIMEOUT_MS, undefined, { ref: false });
    await Promise.race([promise, timeout, this.#finished]);
  }

  /** No report is under way once this has resolved. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#finished;
  }

  /** Stops, and deregisters the worker. The original's controller has no such path; its 404 is ignored. */
  async deregister(): Promise<void> {
    await this.stop();
    if (!this.#isRegistered) return;
    const { workerAddress: worker_name, status } = this.#options;
    const { incarnation } = status();
    const signal = AbortSignal.timeout(DEREGISTER_TIMEOUT_MS);
    await this.#post("/deregister_worker", { worker_name, incarnation }, signal).catch(() => undefined);
  }

  async #run(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (!this.#stop.signal.aborted) {
      const reported = this.#waiting.splice(0);
      try {
        if (this.#isRegistered) this.#isRegistered = await this.#beat();
        if (!this.#isRegistered) await this.#register();
        this.#isRegistered = true;
        for (const resolve of reported) resolve();
        retryMs = FIRST_RETRY_MS;
        if (this.#waiting.length === 0) await this.#pause(this.#options.intervalMs);
      } catch (error) {
        this.#waiting.unshift(...reported);
        this.#reportLost(error);
        await this.#pause(retryMs);
        retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS, this.#options.intervalMs);
      }
    }
  }

  async #register(): Promise<void> {
    const registration: RegisterWorker = {
      worker_name: this.#options.workerAddress,
      check_heart_beat: true,
      worker_status: { ...this.#options.status(), seq: this.#nextSeq() },
    };
    await this.#post("/register_worker", registration, this.#deadline());
    this.#isLost = false;
    this.#options.log.info(
      `Registered with the controller ${this.#options.controllerUrl} as ${this.#options.workerAddress}.`,
    );
  }

  /** @returns whether the controller still knows this worker */
  async #beat(): Promise<boolean> {
    const { model_names: _names, speed: _speed, ...report } = this.#options.status();
    const beat: HeartBeat = {
      worker_name: this.#options.workerAddress,
      ...report,
      seq: this.#nextSeq(),
    };
    const answer = await this.#post("/receive_heart_beat", beat, this.#deadline());
    if (this.#isLost) this.#options.log.info(`The controller ${this.#options.controllerUrl} answers again.`);
    this.#isLost = false;
    return typeof answer === "object" && answer !== null && "exist" in answer && answer.exist === true;
  }

  #nextSeq(): number {
    this.#seq += 1;
    return this.#seq;
  }

  #deadline(): AbortSignal {
    return AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
  }

  async #post(path: string, body: object, signal: AbortSignal): Promise<unknown> {
    const text = JSON.stringify(body);
    const { controllerUrl, token = null } = this.#options;
    const response = await fetch(controllerUrl + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...signedHeaders(token, "POST", path, text) },
      body: text,
      redirect: "error",
      signal,
    });
    const answer = await textOf(response);
    if (!response.ok) throw new Error(`it answered ${path} with HTTP ${response.status}${reasonIn(answer)}`);
    return JSON.parse(answer);
  }

  #reportLost(error: unknown): void {
    if (this.#stop.signal.aborted || this.#isLost) return;
    this.#isLost = true;
    this.#options.log.warn(
      `The controller ${this.#options.controllerUrl} cannot be reached (${reasonOf(error)}). ` +
        "The worker serves direct requests and keeps trying.",
    );
  }

  async #pause(ms: number): Promise<void> {
    this.#wake = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, this.#wake.signal]);
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  }
}

/** One for each controller, so that none waits for another. */
export function startHeartbeats(
  controllerUrls: readonly string[],
  options: Omit<HeartbeatOptions, "controllerUrl">,
): readonly Heartbeat[] {
  return controllerUrls.map((controllerUrl) => {
    const heartbeat = new Heartbeat({ ...options, controllerUrl });
    heartbeat.start();
    return heartbeat;
  });
}

async function textOf(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    if (text.length > MAX_ANSWER_LENGTH)
      throw new Error(`it answered more than ${MAX_ANSWER_LENGTH} characters`);
  }
  return text;
}

/** The error sentence in the answer of a controller of this repository, or "". */
function reasonIn(answer: string): string {
  try {
    const error = parseErrorBody(JSON.parse(answer));
    return error === null ? "" : `: ${error.message}`;
  } catch {
    return "";
  }
}

/** fetch puts the reason into `cause`; its own message is "fetch failed". */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer within ${ANSWER_TIMEOUT_MS / 1000} s`;
  return error.cause instanceof Error ? error.cause.message || reasonOf(error.cause) : error.message;
}
