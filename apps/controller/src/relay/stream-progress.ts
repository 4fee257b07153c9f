/** Tracks what a client has of a streamed answer, which decides how another worker may go on with it. */
import { LlavaError, MAX_RESUME_TOKENS, type Framing, type Resume, type ResumeHead } from "@llava/protocol";
import type { Frame } from "./relayed-frame.ts";

export class StreamProgress {
  readonly #framing: Framing;
  /** The last frame of LLaVA's wire that the client has, JSON and a NUL: each has all of the text so far. */
  #sentFrame: Uint8Array | null = null;
  #head: ResumeHead | null = null;
  readonly #tokens: number[] = [];
  #hasData = false;
  /** The number of frames without tokens since the last one with some. */
  #numSinceTokens = 0;
  /** The number of frames that a continuation sends once more. */
  #numToSkip = 0;
  /** Whether the next frame must begin with the head: a server that cannot resume an answer begins it anew. */
  #isHeadDue = false;

  constructor(framing: Framing) {
    this.#framing = framing;
  }

  /** Call for each frame when it was handed to the client. */
  add(frame: Frame): void {
    this.#head ??= frame.head;
    if (frame.kind === "filler" && frame.tokens.length === 0) return;
    this.#hasData = true;
    if (this.#framing === "wire") this.#sentFrame = frame.bytes;
    if (this.#tokens.length <= MAX_RESUME_TOKENS) this.#tokens.push(...frame.tokens);
    if (frame.tokens.length > 0) this.#numSinceTokens = 0;
    else if (frame.head === null) this.#numSinceTokens += 1;
  }

  /** Whether the client has nothing yet that another worker's answer could contradict. */
  get isUntouched(): boolean {
    return !this.#hasData;
  }

  /** What a worker that is to go on must get, as JSON; null when the answer's tokens are not known. */
  get resume(): string | null {
    if (this.#head === null || this.#tokens.length > MAX_RESUME_TOKENS) return null;
    const resume: Resume = { ...this.#head, tokens: this.#tokens };
    const json = JSON.stringify(resume);
    if (this.#sentFrame === null) return json;
    // The frame goes back as it came: what the client has is never parsed here.
    const sentFrame = Buffer.from(this.#sentFrame).toString("latin1").replace(/\0$/, "");
    return `${json.slice(0, -1)},"sent_frame":${sentFrame}}`;
  }

  /** Call when another worker goes on: it gets the tokens only, so that the frames behind the last of them come again. */
  continued(): void {
    this.#isHeadDue = true;
    this.#numToSkip = this.#numSinceTokens;
  }

  /** The error of a frame that should go on where the client's answer ends and does not; null when it does. */
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
