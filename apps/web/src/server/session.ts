/**
 * A browser: the answers that it has asked for, and the connections on which it hears of them. Apart from HTTP because
 * answers run on whether anybody listens or not.
 */
import { randomBytes } from "node:crypto";

import type { PageEvent } from "@llava/protocol";

import type { PageStream } from "./page-stream.ts";

/** Takes a whole server-sent event. */
export type Listener = (frame: string) => void;

interface Told {
  readonly seq: number;
  readonly frame: string;
}

/** Some minutes of a fast answer, for connections that come again. */
const MAX_TOLD = 4_096;
const MAX_TOLD_LENGTH = 4 << 20;
/** Answers of one browser under way at the same time: two a side of four tabs. */
const MAX_RUNNING = 8;
/** Answers that are kept in case somebody comes back for them. */
const MAX_STREAMS = 64;

export class Session {
  /** Milliseconds of the process clock at which it was last asked something. */
  usedMs: number;
  readonly #streams = new Map<string, PageStream>();
  readonly #listeners = new Set<Listener>();
  /** Ids of another session, or of another process, are no ids of this one. */
  readonly #epoch = randomBytes(4).toString("hex");
  #told: Told[] = [];
  #toldLength = 0;
  #seq = 0;

  constructor(nowMs: number) {
    this.usedMs = nowMs;
  }

  get isHeard(): boolean {
    return this.#listeners.size > 0;
  }

  get numListeners(): number {
    return this.#listeners.size;
  }

  get streams(): readonly PageStream[] {
    return [...this.#streams.values()];
  }

  get isBusy(): boolean {
    return this.streams.some(({ end }) => end === null);
  }

  get isFull(): boolean {
    return this.streams.filter(({ end }) => end === null).length >= MAX_RUNNING;
  }

  find(id: string): PageStream | undefined {
    return this.#streams.get(id);
  }

  /** The one that ended longest ago makes room. */
  add(stream: PageStream): void {
    if (this.#streams.size >= MAX_STREAMS) {
      const oldest = this.streams.find(({ end }) => end !== null);
      if (oldest !== undefined) this.#streams.delete(oldest.id);
    }
    this.#streams.set(stream.id, stream);
  }

  /** Those that ended before are not kept any longer. */
  forget(beforeMs: number): void {
    for (const { id, endedMs } of this.streams) if (endedMs < beforeMs) this.#streams.delete(id);
  }

  tell(event: PageEvent): void {
    this.#seq += 1;
    const frame = this.#frame(event);
    this.#told.push({ seq: this.#seq, frame });
    this.#toldLength += frame.length;
    while (this.#told.length > MAX_TOLD || this.#toldLength > MAX_TOLD_LENGTH)
      this.#toldLength -= this.#told.shift()?.frame.length ?? 0;
    for (const listener of this.#listeners) listener(frame);
  }

  /**
   * All events from now on, and before them what makes a page that has seen those up to `after` know the same as one that
   * has seen all. Returns what ends it.
   */
  listen(listener: Listener, after: string | null): () => void {
    listener(this.#frame({ type: "hello", streams: [...this.#streams.keys()] }));
    const missed = this.#since(after);
    for (const frame of missed ?? this.streams.map((stream) => this.#frame(stream.snapshot())))
      listener(frame);
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Null when not all of them are there any more. */
  #since(after: string | null): readonly string[] | null {
    const [epoch, number] = (after ?? "").split("-");
    const seq = Number(number);
    const first = this.#told[0]?.seq ?? this.#seq + 1;
    if (epoch !== this.#epoch || !Number.isInteger(seq) || seq + 1 < first || seq > this.#seq) return null;
    return this.#told.filter((told) => told.seq > seq).map(({ frame }) => frame);
  }

  #frame(event: PageEvent): string {
    return `id: ${this.#epoch}-${this.#seq}\ndata: ${JSON.stringify(event)}\n\n`;
  }
}
