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
const MAX_TOLD_LENGTH = 1 << 20;
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

  /** Characters that it holds. */
  get length(): number {
    return this.streams.reduce((sum, { length }) => sum + length, this.#toldLength);
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
    const frame = encode(event, `${this.#epoch}-${this.#seq}`);
    this.#told.push({ seq: this.#seq, frame });
    this.#toldLength += frame.length;
    while (this.#told.length > MAX_TOLD || this.#toldLength > MAX_TOLD_LENGTH)
      this.#toldLength -= this.#told.shift()?.frame.length ?? 0;
    for (const listener of this.#listeners) listener(frame);
  }

  /**
   * All events from now on, and before them what makes a page that has seen those up to `after` know the same as one that
   * has seen all. An id is sent only with what makes a page know everything up to it: a connection may break between any
   * two frames. Returns what ends it.
   */
  listen(listener: Listener, after: string | null): () => void {
    const missed = this.#since(after);
    const hello: PageEvent = { type: "hello", streams: [...this.#streams.keys()] };
    if (missed !== null) for (const frame of [encode(hello), ...missed]) listener(frame);
    else {
      const events = [hello, ...this.streams.map((stream) => stream.snapshot())];
      for (const event of events)
        listener(event === events.at(-1) ? encode(event, `${this.#epoch}-${this.#seq}`) : encode(event));
    }
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Null when not all of them are there any more. */
  #since(after: string | null): readonly string[] | null {
    const [epoch, number = ""] = (after ?? "").split("-");
    const seq = Number(number);
    const first = this.#told[0]?.seq ?? this.#seq + 1;
    const isKnown = epoch === this.#epoch && /^\d{1,15}$/.test(number);
    if (!isKnown || seq + 1 < first || seq > this.#seq) return null;
    return this.#told.filter((told) => told.seq > seq).map(({ frame }) => frame);
  }
}

function encode(event: PageEvent, id?: string): string {
  return `${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(event)}\n\n`;
}
