/** Files become the vision tower's numbers in other processes: the one way for images of strangers. */
import { detectFormat, LlavaError } from "@llava/protocol";
import type { PixelDescription } from "../pixels.ts";
import { Semaphore } from "./semaphore.ts";
import type { PreparedImage } from "./decode-process.ts";
import { IMAGE_LIMITS, type ImageLimits, requireFileSize } from "./decode-image.ts";
import { DecodeProcess, DecodeProcessEnded } from "./decode-process-handle.ts";
import { CrashQuarantine } from "./crash-quarantine.ts";

export interface DecodePoolOptions {
  /** Images that are decoded at the same time; default 2. */
  readonly processes?: number;
  readonly limits?: Partial<ImageLimits>;
  /** What a process may allocate, where the system can be told; a bare one takes some 600 MB of it. */
  readonly memoryBytes?: number;
}

/** The largest image needs 300 MB beside what Node itself reserves. */
const MEMORY_BYTES = 1536 << 20;

export class DecodePool implements Disposable {
  readonly #limits: ImageLimits;
  readonly #memoryBytes: number;
  readonly #gate: Semaphore;
  readonly #idle: DecodeProcess[] = [];
  readonly #quarantine = new CrashQuarantine();
  readonly #closed = new AbortController();

  constructor(options: DecodePoolOptions = {}) {
    this.#limits = { ...IMAGE_LIMITS, ...options.limits };
    this.#memoryBytes = options.memoryBytes ?? MEMORY_BYTES;
    this.#gate = new Semaphore(options.processes ?? 2);
  }

  /**
   * [3, size, size] of the encoded file `bytes`: exactly what `pixelValues(await decodeImage(bytes))` gives. Throws
   * `invalid_image`, also when the image took too long or ended the process; `quarantined` when it ended two; `cancelled`.
   */
  async values(
    bytes: Uint8Array,
    description: PixelDescription,
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    return (await this.prepare(bytes, description, signal)).values;
  }

  /** The same, and how large the image was. */
  async prepare(
    bytes: Uint8Array,
    description: PixelDescription,
    signal?: AbortSignal,
  ): Promise<PreparedImage> {
    // What can be refused without a process is.
    requireFileSize(bytes, this.#limits);
    detectFormat(bytes);
    await this.#quarantine.check(bytes);
    const signals = [this.#closed.signal, ...(signal ? [signal] : [])];
    const either = AbortSignal.any(signals);
    try {
      return await this.#gate.pass(async () => await this.#decode(bytes, description, either), either);
    } catch (thrown) {
      if (thrown instanceof LlavaError) throw thrown;
      if (either.aborted) throw cancelled();
      throw thrown;
    }
  }

  /** Ends all processes, and with them what they were doing. */
  [Symbol.dispose](): void {
    this.#closed.abort();
    for (const process of this.#idle.splice(0)) process.kill();
  }

  async #decode(
    bytes: Uint8Array,
    description: PixelDescription,
    signal: AbortSignal,
  ): Promise<PreparedImage> {
    const process = this.#take();
    try {
      const task = { bytes, description, limits: this.#limits };
      const reply = await process.run(task, this.#limits.timeoutMs, signal);
      if (reply.type === "values") return reply;
      if (reply.type === "refused") throw new LlavaError(reply.code, reply.message);
      process.kill();
      throw tooSlow(reply.type);
    } catch (thrown) {
      if (!(thrown instanceof DecodeProcessEnded)) throw thrown;
      if (signal.aborted) throw cancelled();
      if (!thrown.isCrash) throw tooSlow(thrown);
      await this.#quarantine.note(bytes);
      throw tooMuch(thrown);
    } finally {
      if (process.isAlive && !this.#closed.signal.aborted) this.#idle.push(process);
      else process.kill();
    }
  }

  /** One that has nothing to do, or a new one: there are never more than places in the gate. */
  #take(): DecodeProcess {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.isAlive) return idle;
    }
    return new DecodeProcess(this.#memoryBytes);
  }
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
