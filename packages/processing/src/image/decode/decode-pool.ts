/** Has images read and decoded in processes of their own, a few at a time, and forgets none that ended such a process. */
import { detectFormat, LlavaError } from "@llava/protocol";
import PQueue from "p-queue";
import type { TilePlan } from "../plans/plan-maker.ts";
import type { ImageSize } from "../plans/tile.ts";
import type { Normalisation } from "../pixels.ts";
import type { ImageReply, ImageTask } from "./decode-process.ts";
import { IMAGE_LIMITS, type ImageLimits, requireFileSize } from "./image-header.ts";
import { DecodeProcess, DecodeProcessEnded } from "./decode-process-handle.ts";
import { CrashQuarantine } from "./crash-quarantine.ts";

export interface DecodePoolOptions {
  /** Images that are decoded at the same time; default 2. */
  readonly processes?: number;
  readonly limits?: Partial<ImageLimits>;
  /** What a process may allocate, where the system can limit it (Linux); an idle one takes some 600 MB of it. */
  readonly memoryBytes?: number;
}

/** The largest image needs 300 MB beside what Node itself reserves. */
const MEMORY_BYTES = 1536 << 20;
/**
 * Bytes of a file that usually hold its header: a JPEG's EXIF segment has at most 64 KiB. Sending a file to a process takes
 * longer than reading the header there (500 KB: 2.5 ms instead of 0.8), and the file is sent again for its tiles.
 */
const START_BYTES = 65_536;
/** Headers go first: each takes a millisecond, and a request may be refused by them. */
const PRIORITY = { header: 1, tiles: 0 } as const;

export class DecodePool implements Disposable {
  readonly #limits: ImageLimits;
  readonly #memoryBytes: number;
  readonly #queue: PQueue;
  readonly #idle: DecodeProcess[] = [];
  readonly #quarantine = new CrashQuarantine();
  readonly #closed = new AbortController();

  constructor(options: DecodePoolOptions = {}) {
    this.#limits = { ...IMAGE_LIMITS, ...options.limits };
    this.#memoryBytes = options.memoryBytes ?? MEMORY_BYTES;
    this.#queue = new PQueue({ concurrency: options.processes ?? 2 });
  }

  /**
   * The size of the upright image in the encoded file `bytes`; no pixel is decoded. Throws `invalid_image`, also when this
   * took too long or ended the process; `quarantined` when the image ended two; `cancelled`.
   */
  async header(bytes: Uint8Array, signal?: AbortSignal): Promise<ImageSize> {
    const limits = this.#limits;
    if (bytes.length > START_BYTES) {
      const start = { type: "header", bytes: bytes.subarray(0, START_BYTES), isStart: true, limits } as const;
      const found = await this.#run(start, bytes, signal);
      if (found.type === "header") return { width: found.width, height: found.height };
    }
    const found = await this.#run({ type: "header", bytes, isStart: false, limits }, bytes, signal);
    if (found.type === "incomplete") throw new Error("The header of a whole file was incomplete.");
    return { width: found.width, height: found.height };
  }

  /**
   * The tiles of the image in `bytes`, [tiles, 3, size, size], from one decoding: exactly what `tileValues` gives. `plan`
   * is made for the size that `header` gave. Throws as `header` does.
   */
  async tiles(
    bytes: Uint8Array,
    plan: TilePlan,
    normalisation: Normalisation,
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    const task = { type: "tiles", bytes, limits: this.#limits, plan, normalisation } as const;
    return (await this.#run(task, bytes, signal)).values;
  }

  /** Ends all processes, and with them what they were doing. */
  [Symbol.dispose](): void {
    this.#closed.abort();
    for (const process of this.#idle.splice(0)) process.kill();
  }

  /** @param file the whole file, of which the task may have the beginning only */
  async #run<T extends ImageTask>(
    task: T,
    file: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<ReplyTo<T>> {
    // What can be refused without a process is.
    requireFileSize(file, this.#limits);
    detectFormat(file);
    await this.#quarantine.check(file);
    const either = AbortSignal.any([this.#closed.signal, ...(signal ? [signal] : [])]);
    try {
      const options = { signal: either, priority: PRIORITY[task.type] };
      return await this.#queue.add(async () => await this.#send(task, file, either), options);
    } catch (thrown) {
      if (thrown instanceof LlavaError) throw thrown;
      if (either.aborted) throw cancelled();
      throw thrown;
    }
  }

  async #send<T extends ImageTask>(task: T, file: Uint8Array, signal: AbortSignal): Promise<ReplyTo<T>> {
    const process = this.#take();
    try {
      const reply = await process.run(task, this.#limits.timeoutMs, signal);
      if (isReplyTo(task, reply)) return reply;
      if (reply.type === "refused") throw new LlavaError(reply.code, reply.message);
      process.kill();
      throw tooSlow(reply.type);
    } catch (thrown) {
      if (!(thrown instanceof DecodeProcessEnded)) throw thrown;
      if (signal.aborted) throw cancelled();
      if (!thrown.isCrash) throw tooSlow(thrown);
      await this.#quarantine.note(file);
      throw tooMuch(thrown);
    } finally {
      if (process.isAlive && !this.#closed.signal.aborted) this.#idle.push(process);
      else process.kill();
    }
  }

  /** An idle process, or a new one: there are never more than the queue runs at a time. */
  #take(): DecodeProcess {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.isAlive) return idle;
    }
    return new DecodeProcess(this.#memoryBytes);
  }
}

type ReplyTo<T extends ImageTask> = Extract<
  ImageReply,
  { readonly type: T["type"] | (T["type"] extends "header" ? "incomplete" : never) }
>;

function isReplyTo<T extends ImageTask>(task: T, reply: ImageReply): reply is ReplyTo<T> {
  return reply.type === task.type || (task.type === "header" && reply.type === "incomplete");
}

function cancelled(): LlavaError {
  return new LlavaError("cancelled", "The request was cancelled while its image was prepared.");
}

function tooSlow(cause: unknown): LlavaError {
  const sentence = "The image takes too long to decode. Make it smaller and send it again.";
  return new LlavaError("invalid_image", sentence, { cause });
}

function tooMuch(cause: unknown): LlavaError {
  const sentence =
    "The image ended the process that decodes it: it is damaged, or too large for the memory there. Save it again, smaller, and send that.";
  return new LlavaError("invalid_image", sentence, { cause });
}
