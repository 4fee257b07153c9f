/** Keeps one controller informed: apart from the app, so that a slow or missing controller can never touch a request. */
import { setTimeout as sleep } from "node:timers/promises";
import { signedHeaders } from "@llava/server";
import { parseErrorBody, type HeartBeat, type RegisterWorker, type WorkerStatus } from "@llava/protocol";

export interface HeartbeatOptions {
  readonly controllerUrl: string;
  /** The address that the controller will call us by. */
  readonly workerAddress: string;
  readonly status: () => WorkerStatus;
  readonly intervalMs: number;
  /** The cluster's; null signs nothing. */
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
/** A worker that ends waits no longer for a controller to take note. */
const FAREWELL_MS = 1_000;

/**
 * Registers, then beats every `intervalMs` until stopped. A controller that is down is tried again for ever (after
 * 0.25 s, doubling to 5 s), with one sentence in the log when it is lost and one when it is back; one that has forgotten us
 * (`exist: false`) gets a new registration at once. Never throws. A worker that reports to several has one for each.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #stop = new AbortController();
  #isLost = false;
  #isRegistered = false;
  /** Of the last report: the controller drops one that a later one has overtaken. */
  #seq = 0;
  /** Ends the pause between two reports. */
  #wake = new AbortController();
  /** Who waits for a report that begins from now on. */
  #waiting: (() => void)[] = [];
  #finished: Promise<void> = Promise.resolve();

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  start(): void {
    this.#finished = this.#run();
  }

  /** Reports at once. Resolves when the controller has taken note, or after a second if it does not. */
  async reportNow(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    this.#wake.abort();
    const patience = sleep(FAREWELL_MS, undefined, { ref: false });
    await Promise.race([promise, patience, this.#finished]);
  }

  /** No beat is under way once this has resolved. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#finished;
  }

  /** Stops, and tells the controller that this worker is gone. The original's knows no farewell; it hears none. */
  async leave(): Promise<void> {
    await this.stop();
    if (!this.#isRegistered) return;
    const { workerAddress: worker_name, status } = this.#options;
    const { incarnation } = status();
    const signal = AbortSignal.timeout(FAREWELL_MS);
    await this.#post("/deregister_worker", { worker_name, incarnation }, signal).catch(() => undefined);
  }

  async #run(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (!this.#stop.signal.aborted) {
      const heard = this.#waiting.splice(0);
      try {
        if (this.#isRegistered) this.#isRegistered = await this.#beat();
        if (!this.#isRegistered) await this.#register();
        this.#isRegistered = true;
        for (const resolve of heard) resolve();
        retryMs = FIRST_RETRY_MS;
        if (this.#waiting.length === 0) await this.#pause(this.#options.intervalMs);
      } catch (error) {
        this.#waiting.unshift(...heard);
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

/** The sentence of a controller of ours that refuses. */
function reasonIn(answer: string): string {
  try {
    const error = parseErrorBody(JSON.parse(answer));
    return error === null ? "" : `: ${error.message}`;
  } catch {
    return "";
  }
}

/** fetch hides the reason in `cause`: "fetch failed" alone helps nobody. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer within ${ANSWER_TIMEOUT_MS / 1000} s`;
  return error.cause instanceof Error ? error.cause.message || reasonOf(error.cause) : error.message;
}
