/** Answers that must be JSON: which tokens may come next. The grammars themselves live in threads (grammar-thread.ts). */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { LlavaError } from "@llava/protocol";
import { grammarSchema, type GrammarSchema } from "./grammar-schema.ts";
import { type FromThread, type GrammarTask, MATCHER, REFUSED, type ToThread } from "./grammar-link.ts";

/** What an answer must be: any JSON object, or what a JSON schema describes. */
export type GrammarSource =
  | { readonly type: "json" }
  | { readonly type: "json_schema"; readonly schema: Readonly<Record<string, unknown>> };

/** The model's tokens, as far as a grammar needs them. */
export interface GrammarTokens {
  /** Of the logits. */
  readonly vocabSize: number;
  readonly eosTokenIds: readonly number[];
  /** Ids that are no words of an answer. */
  readonly specialIds: ReadonlySet<number>;
  readonly tokenBytes: (id: number) => Uint8Array;
}

/** Follows one answer. */
export interface GrammarMatcher extends Disposable {
  accept(id: number): void;
  /**
   * Makes impossible what may not come next, in place; end tokens may when the answer can end here. Returns whether nothing
   * else may. Throws `runtime_failure` when the grammar is lost or does not go on from the tokens that it was given.
   */
  mask(logits: Float32Array, endTokens: ReadonlySet<number>): boolean;
}

/** Each is a thread with some 50 MB. Those that nobody uses are ended, the longest unused first. */
const MAX_GRAMMARS = 4;
/** A usual schema takes 0.1 s for 32,000 tokens. */
const COMPILE_MS = 10_000;
/** A mask takes 0.05 ms, and while it is made the model computes. */
const MASK_MS = 2_000;

const PROGRAM = new URL("./grammar-thread.ts", import.meta.url);

export class Grammars implements Disposable {
  readonly #tokens: GrammarTokens;
  /** By source; the longest unused first. */
  readonly #threads = new Map<string, GrammarThread>();
  #vocabulary: readonly string[] | undefined;

  constructor(tokens: GrammarTokens) {
    this.#tokens = tokens;
  }

  /** Throws `invalid_request` for a schema that cannot be followed, `overloaded` when all places are in use. */
  async open(source: GrammarSource): Promise<GrammarMatcher> {
    const schema = grammarSchema(source.type === "json" ? { type: "object" } : source.schema);
    const key = JSON.stringify([source.type, schema]);
    if (this.#threads.get(key)?.isAlive === false) this.#threads.delete(key);
    const thread = this.#threads.get(key) ?? this.#start(schema, source.type === "json");
    this.#threads.delete(key);
    this.#threads.set(key, thread);
    thread.users += 1;
    try {
      await thread.ready;
      return thread.open(this.#tokens.vocabSize);
    } catch (error) {
      thread.users -= 1;
      if (this.#threads.get(key) === thread) this.#threads.delete(key);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const thread of this.#threads.values()) thread[Symbol.dispose]();
    this.#threads.clear();
  }

  #start(schema: GrammarSchema, isOpen: boolean): GrammarThread {
    const [endToken] = this.#tokens.eosTokenIds;
    if (endToken === undefined)
      throw refused("The model has no end token, without which an answer in JSON never ends");
    for (const [key, thread] of this.#threads) {
      if (this.#threads.size < MAX_GRAMMARS) break;
      if (thread.isAlive && thread.users > 0) continue;
      thread[Symbol.dispose]();
      this.#threads.delete(key);
    }
    if (this.#threads.size >= MAX_GRAMMARS) {
      throw new LlavaError(
        "overloaded",
        `Answers after ${this.#threads.size} other schemas are being written; try again in a moment.`,
      );
    }
    this.#vocabulary ??= byteLevel(this.#tokens);
    return new GrammarThread({
      ...schema,
      isOpen,
      vocabulary: this.#vocabulary,
      endToken,
    });
  }
}

class GrammarThread implements Disposable {
  /** Matchers, and those who wait for one. */
  users = 0;
  isAlive = true;
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  #numOpened = 0;

  constructor(task: GrammarTask) {
    // No flags of this process: they are about its own program.
    this.#worker = new Worker(PROGRAM, { workerData: task, execArgv: [], stdout: true, stderr: true });
    // Strangers must not write our logs: the library says there what it thinks of a schema.
    this.#worker.stdout.resume();
    this.#worker.stderr.resume();
    // What it dies of is told to those who wait for it.
    this.#worker.on("error", () => undefined).once("exit", () => (this.isAlive = false));
    this.ready = this.#start();
    // Without anybody who waits an error is nobody's.
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
    const told = once(this.#worker, "message", { signal }).then(([message]: FromThread[]) => message);
    const ended = once(this.#worker, "exit", { signal }).then(() => undefined);
    // The one that loses is nobody's.
    for (const one of [told, ended]) one.catch(() => undefined);
    try {
      const answer = await Promise.race([told, ended]);
      if (answer?.type === "ready") return this.#worker.unref();
      throw refused("The JSON schema in response_format cannot be followed here", answer?.message);
    } catch (cause) {
      this[Symbol.dispose]();
      if (!signal.aborted) throw cause;
      throw refused(
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

class ThreadMatcher implements GrammarMatcher {
  readonly #words: Int32Array;
  readonly #post: (id: number) => void;
  readonly #close: () => void;
  /** What `MATCHER.count` will be when the mask for the next token is there. */
  #expected = 1;
  #isOpen = true;

  constructor(words: Int32Array, post: (id: number) => void, close: () => void) {
    this.#words = words;
    this.#post = post;
    this.#close = close;
  }

  accept(id: number): void {
    this.#expected += 1;
    this.#post(id);
  }

  mask(logits: Float32Array, endTokens: ReadonlySet<number>): boolean {
    this.#wait();
    const mayEnd = this.#words[MATCHER.mayEnd] === 1;
    const ends = [...endTokens].map((id) => [id, mayEnd ? (logits[id] ?? -Infinity) : -Infinity] as const);
    let mustEnd = true;
    for (let from = 0; from < logits.length; from += 32) {
      const word = this.#words[MATCHER.mask + (from >> 5)] ?? 0;
      if (word !== 0) mustEnd = false;
      if (word === -1) continue;
      const to = Math.min(from + 32, logits.length);
      for (let id = from; id < to; id++) if (((word >> (id - from)) & 1) === 0) logits[id] = -Infinity;
    }
    for (const [id, logit] of ends) logits[id] = logit;
    return mustEnd;
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#close();
  }

  /** The other thread has had the time of a step of the model: mostly there is nothing to wait for. */
  #wait(): void {
    const untilMs = performance.now() + MASK_MS;
    while (this.#isOpen) {
      const count = Atomics.load(this.#words, MATCHER.count);
      if (count === this.#expected) return;
      const leftMs = untilMs - performance.now();
      if (count === REFUSED || leftMs <= 0) break;
      Atomics.wait(this.#words, MATCHER.count, count, leftMs);
    }
    throw new LlavaError("runtime_failure", "The grammar of this answer was lost. Ask again.");
  }
}

/**
 * Each byte as a visible character, as byte-level tokenizers have written theirs since GPT-2. JSON in one line has no raw
 * control characters, and the library lets them into texts of a given length: tokens with some are left out.
 */
function byteLevel({ vocabSize, specialIds, tokenBytes }: GrammarTokens): readonly string[] {
  const isVisible = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad && byte <= 0xff);
  let numHidden = 0;
  const alphabet = Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(isVisible(byte) ? byte : 0x100 + numHidden++),
  );
  return Array.from({ length: vocabSize }, (_, id) => {
    const bytes = tokenBytes(id);
    const isWord = !specialIds.has(id) && bytes.every((byte) => byte >= 0x20);
    return isWord ? Array.from(bytes, (byte) => alphabet[byte]).join("") : "";
  });
}

/** @param cause for the log */
function refused(sentence: string, cause?: unknown): LlavaError {
  return new LlavaError(
    "invalid_request",
    `${sentence}; ask for a simpler one or leave out response_format.`,
    {
      param: "response_format",
      cause,
    },
  );
}
