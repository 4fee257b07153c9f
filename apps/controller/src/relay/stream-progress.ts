/** What a client has of a streamed answer, apart because it decides how another worker may go on with it. */
import { LlavaError, MAX_RESUME_TOKENS, type HopHead, type Resume } from "@llava/protocol";
import type { Frame, Framing } from "./frame-splitter.ts";

export class Progress {
  readonly #framing: Framing;
  /** LLaVA's wire says all of the text in each frame: the last one that the client has, JSON and a NUL. */
  #said: Uint8Array | null = null;
  #head: HopHead | null = null;
  readonly #tokens: number[] = [];
  #hasData = false;
  /** Frames without tokens that came since the last one with some. */
  #numSinceTokens = 0;
  /** Of those, how many a continuation says once more. */
  #numToSkip = 0;
  /** Whether the next frame must begin with the head: a server that does not know the hop begins anew. */
  #isHeadDue = false;

  constructor(framing: Framing) {
    this.#framing = framing;
  }

  /** Call for each frame when it was handed to the client. */
  add(frame: Frame): void {
    this.#head ??= frame.head;
    if (frame.kind === "filler" && frame.tokens.length === 0) return;
    this.#hasData = true;
    if (this.#framing === "wire") this.#said = frame.bytes;
    if (this.#tokens.length <= MAX_RESUME_TOKENS) this.#tokens.push(...frame.tokens);
    if (frame.tokens.length > 0) this.#numSinceTokens = 0;
    else if (frame.head === null) this.#numSinceTokens += 1;
  }

  /** Whether the client has nothing yet that another worker's answer could contradict. */
  get isUntouched(): boolean {
    return !this.#hasData;
  }

  /** What to send to a worker that is to go on, as JSON; null when its tokens are not known. */
  get resume(): string | null {
    if (this.#head === null || this.#tokens.length > MAX_RESUME_TOKENS) return null;
    const resume: Resume = { ...this.#head, tokens: this.#tokens };
    const json = JSON.stringify(resume);
    if (this.#said === null) return json;
    // As it came: what the client has is never read here.
    const said = Buffer.from(this.#said).toString("latin1").replace(/\0$/, "");
    return `${json.slice(0, -1)},"said":${said}}`;
  }

  /** Call when another worker goes on: what followed the last tokens comes again, since only they are known to it. */
  continued(): void {
    this.#isHeadDue = true;
    this.#numToSkip = this.#numSinceTokens;
  }

  /** What is wrong with a frame that should go on where the client's answer ends; null when nothing is. */
  contradiction({ kind, head }: Frame): LlavaError | null {
    if (!this.#isHeadDue || kind === "failure" || (kind === "filler" && head === null)) return null;
    this.#isHeadDue = false;
    if (head !== null && head.id === this.#head?.id) return null;
    return new LlavaError("worker_lost", "The worker did not go on with the answer; ask again.");
  }

  /** Whether the client has this frame already. */
  has(frame: Frame): boolean {
    if (this.#numToSkip === 0 || frame.kind === "filler") return false;
    if (frame.tokens.length > 0) {
      this.#numToSkip = 0;
      return false;
    }
    this.#numToSkip -= 1;
    return true;
  }
}
