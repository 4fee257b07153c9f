/** Starts the thread of one grammar, opens matchers in it, and ends it when a schema takes too long to compile. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { LlavaError } from "@llava/protocol";
import { type FromThread, type GrammarTask, MATCHER, type ToThread } from "./grammar-link.ts";
import { type GrammarMatcher, ThreadMatcher } from "./thread-matcher.ts";

/** Longest time to compile a schema: a usual one takes 0.1 s for 32,000 tokens. */
const COMPILE_MS = 10_000;

const PROGRAM = new URL("./grammar-thread.ts", import.meta.url);

export class GrammarThread implements Disposable {
  /** Number of matchers and of requests that wait for one. */
  users = 0;
  isAlive = true;
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  #numOpened = 0;

  constructor(task: GrammarTask) {
    // Without the flags of this process, which are about its own program.
    this.#worker = new Worker(PROGRAM, { workerData: task, execArgv: [], stdout: true, stderr: true });
    // The library prints what it finds wrong with a schema: clients must not be able to fill our logs.
    this.#worker.stdout.resume();
    this.#worker.stderr.resume();
    // Requests that wait for the thread get its error from `#start`.
    this.#worker.on("error", () => undefined).once("exit", () => (this.isAlive = false));
    this.ready = this.#start();
    // Without a request that waits there must be no unhandled rejection.
    this.ready.catch(() => undefined);
  }

  open(vocabSize: number): GrammarMatcher {
    const matcher = this.#numOpened++;
    const bytes = 4 * (MATCHER.mask + Math.ceil(vocabSize / 32));
    const shared = new SharedArrayBuffer(bytes);
    this.#post({ type: "open", matcher, shared });
    return new ThreadMatcher(
      new Int32Array(shared),
      (id) => this.#post({ type: "accept", matcher, id }),
      () => {
        this.users -= 1;
        this.#post({ type: "close", matcher });
      },
    );
  }

  [Symbol.dispose](): void {
    void this.#worker.terminate();
  }

  async #start(): Promise<void> {
    const waiting = new AbortController();
    const timer = setTimeout(() => waiting.abort(), COMPILE_MS);
    const { signal } = waiting;
    const answered = once(this.#worker, "message", { signal }).then(([message]: FromThread[]) => message);
    const ended = once(this.#worker, "exit", { signal }).then(() => undefined);
    // The promise that loses the race must not become an unhandled rejection.
    for (const one of [answered, ended]) one.catch(() => undefined);
    try {
      const answer = await Promise.race([answered, ended]);
      if (answer?.type === "ready") return this.#worker.unref();
      throw grammarRefused("The JSON schema in response_format cannot be followed here", answer?.message);
    } catch (cause) {
      this[Symbol.dispose]();
      if (!signal.aborted) throw cause;
      throw grammarRefused(
        `The JSON schema in response_format takes more than ${COMPILE_MS / 1000} s to understand`,
      );
    } finally {
      clearTimeout(timer);
      waiting.abort();
    }
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message);
  }
}

/** @param cause what the library found wrong, for the log */
export function grammarRefused(sentence: string, cause?: unknown): LlavaError {
  return new LlavaError(
    "invalid_request",
    `${sentence}; ask for a simpler one or leave out response_format.`,
    {
      param: "response_format",
      cause,
    },
  );
}
