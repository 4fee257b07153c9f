/** Keeps the controller informed: apart from the app, so that a slow or missing controller can never touch a request. */
import { setTimeout as sleep } from "node:timers/promises";
import type { WorkerStatus } from "@llava/protocol";

export interface HeartbeatOptions {
  readonly controllerUrl: string;
  /** The address that the controller will call us by. */
  readonly workerAddress: string;
  readonly status: () => WorkerStatus;
  readonly intervalMs: number;
  readonly log: HeartbeatLog;
}

interface HeartbeatLog {
  info(sentence: string): void;
  warn(sentence: string): void;
}

const ANSWER_TIMEOUT_MS = 5_000;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * Registers, then beats every `intervalMs` until stopped. A controller that is down is tried again for ever (after
 * 0.25 s, doubling to 5 s), with one sentence in the log when it is lost and one when it is back; one that has forgotten us
 * (`exist: false`) gets a new registration at once. Never throws.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #stop = new AbortController();
  #isLost = false;
  #finished: Promise<void> = Promise.resolve();

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  start(): void {
    this.#finished = this.#run();
  }

  /** No beat is under way once this has resolved. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#finished;
  }

  async #run(): Promise<void> {
    let isRegistered = false;
    let retryMs = FIRST_RETRY_MS;
    while (!this.#stop.signal.aborted) {
      try {
        if (isRegistered) isRegistered = await this.#beat();
        if (!isRegistered) await this.#register();
        isRegistered = true;
        retryMs = FIRST_RETRY_MS;
        await this.#pause(this.#options.intervalMs);
      } catch (error) {
        this.#reportLost(error);
        await this.#pause(retryMs);
        retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS, this.#options.intervalMs);
      }
    }
  }

  async #register(): Promise<void> {
    await this.#post("/register_worker", {
      worker_name: this.#options.workerAddress,
      check_heart_beat: true,
      worker_status: this.#options.status(),
    });
    this.#isLost = false;
    this.#options.log.info(
      `Registered with the controller ${this.#options.controllerUrl} as ${this.#options.workerAddress}.`,
    );
  }

  /** @returns whether the controller still knows this worker */
  async #beat(): Promise<boolean> {
    const answer = await this.#post("/receive_heart_beat", {
      worker_name: this.#options.workerAddress,
      queue_length: this.#options.status().queue_length,
    });
    if (this.#isLost) this.#options.log.info(`The controller ${this.#options.controllerUrl} answers again.`);
    this.#isLost = false;
    return typeof answer === "object" && answer !== null && "exist" in answer && answer.exist === true;
  }

  async #post(path: string, body: unknown): Promise<unknown> {
    const response = await fetch(this.#options.controllerUrl + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      redirect: "error",
      signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`it answered ${path} with HTTP ${response.status}`);
    if (text.length > MAX_ANSWER_BYTES)
      throw new Error(`its answer to ${path} is ${text.length} characters long`);
    return JSON.parse(text);
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
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}

/** fetch hides the reason in `cause`: "fetch failed" alone helps nobody. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer within ${ANSWER_TIMEOUT_MS / 1000} s`;
  return error.cause instanceof Error ? error.cause.message || reasonOf(error.cause) : error.message;
}
