/** What a stream says while its answer has nothing to say: how far it is, to who wants to know, and that it still lives. */
import { encodeProgress, SSE_PING } from "@llava/protocol";
import type { Preparation } from "../../service/request-progress.ts";

/** After this much silence there is a ping, so that nobody between here and the browser hangs up. */
const PING_MS = 10_000;
/** How often who wants to know is told. */
const PROGRESS_MS = 250;

export class Silence {
  readonly #preparation: Preparation | null;
  #told = "";
  #quietMs = 0;

  /** @param preparation null where nobody wants to know */
  constructor(preparation: Preparation | null) {
    this.#preparation = preparation;
  }

  /** `line` is asked for after each of these without a word. */
  get intervalMs(): number {
    return this.#preparation === null ? PING_MS : PROGRESS_MS;
  }

  /** The block to write now, or "". */
  line(): string {
    this.#quietMs += this.intervalMs;
    const progress = this.#preparation?.now ?? null;
    const news = progress === null ? "" : encodeProgress(progress);
    const isNew = news !== this.#told && news !== "";
    if (!isNew && this.#quietMs < PING_MS) return "";
    this.#quietMs = 0;
    if (!isNew) return SSE_PING;
    this.#told = news;
    return news;
  }
}
