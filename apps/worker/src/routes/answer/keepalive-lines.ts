/** KeepaliveLines writes the comments of a stream whose answer pauses: its progress, where the client asks for it, and pings. */
import { encodeProgress, SSE_PING } from "@llava/protocol";
import type { RequestProgress } from "../../service/request-progress.ts";

/** Pause after which a ping is sent, so that no proxy between here and the browser closes the connection. */
const PING_MS = 10_000;
/** Pause after which the progress is sent to a client that asks for it. */
const PROGRESS_MS = 250;

export class KeepaliveLines {
  readonly #progress: RequestProgress | null;
  #sent = "";
  #pauseMs = 0;

  /** @param progress null where the client does not ask for it */
  constructor(progress: RequestProgress | null) {
    this.#progress = progress;
  }

  /** The pause after each of which `line` is asked for. */
  get intervalMs(): number {
    return this.#progress === null ? PING_MS : PROGRESS_MS;
  }

  /** The block to write now, or "". */
  line(): string {
    this.#pauseMs += this.intervalMs;
    const progress = this.#progress?.current ?? null;
    const line = progress === null ? "" : encodeProgress(progress);
    const isNew = line !== this.#sent && line !== "";
    if (!isNew && this.#pauseMs < PING_MS) return "";
    this.#pauseMs = 0;
    if (!isNew) return SSE_PING;
    this.#sent = line;
    return line;
  }
}
