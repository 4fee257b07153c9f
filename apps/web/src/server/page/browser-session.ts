/**
 * Keeps the answers that one browser has asked for, and sends their events to its connections. Answers continue when
 * there is no connection.
 */
import { randomBytes } from "node:crypto";

import type { PageEvent } from "@llava/protocol";

import type { PageStream } from "./page-stream.ts";

/** Receives a whole server-sent event. */
export type Listener = (frame: string) => void;

interface SentEvent {
  readonly seq: number;
  readonly frame: string;
}

/** Most events that are kept for connections that come again, which is some minutes of a fast answer. */
const MAX_SENT = 4_096;
const MAX_SENT_LENGTH = 1 << 20;
/** Most answers of one browser at the same time: two sides of a comparison in four tabs. */
const MAX_RUNNING = 8;
/** Most answers that are kept for a browser that comes back. */
const MAX_STREAMS = 64;

export class Session {
  /** Time of the last request, milliseconds of the process clock. */
  usedMs: number;
  readonly #streams = new Map<string, PageStream>();
  readonly #listeners = new Set<Listener>();
  /** Prefix of event ids, which tells them from the ids of another session or process. */
  readonly #epoch = randomBytes(4).toString("hex");
  #sent: SentEvent[] = [];
  #sentLength = 0;
  #seq = 0;

  constructor(nowMs: number) {
    this.usedMs = nowMs;
  }

  get hasListeners(): boolean {
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

  /** Number of characters in all answers and kept events. */
  get length(): number {
    return this.streams.reduce((sum, { length }) => sum + length, this.#sentLength);
  }

  find(id: string): PageStream | undefined {
    return this.#streams.get(id);
  }

  /** Adds an answer; the oldest one that has ended makes room for it. */
  add(stream: PageStream): void {
    if (this.#streams.size >= MAX_STREAMS) {
      const oldest = this.streams.find(({ end }) => end !== null);
      if (oldest !== undefined) this.#streams.delete(oldest.id);
    }
    this.#streams.set(stream.id, stream);
  }

  /** Removes the answers that ended before a time, milliseconds of the process clock. */
  forget(beforeMs: number): void {
    for (const { id, endedMs } of this.streams) if (endedMs < beforeMs) this.#streams.delete(id);
  }

  publish(event: PageEvent): void {
    this.#seq += 1;
    const frame = encode(event, `${this.#epoch}-${this.#seq}`);
    this.#sent.push({ seq: this.#seq, frame });
    this.#sentLength += frame.length;
    while (this.#sent.length > MAX_SENT || this.#sentLength > MAX_SENT_LENGTH)
      this.#sentLength -= this.#sent.shift()?.frame.length ?? 0;
    for (const listener of this.#listeners) listener(frame);
  }

  /**
   * Sends all events from now on to a listener. Before them it sends what brings a page that has seen the events up
   * to `after` to the same state as one that has seen all. An id is sent only with the event that completes this
   * state, because a connection may break between any two events. Returns a function that ends it.
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

  /** The events after an id; null when not all of them are kept. */
  #since(after: string | null): readonly string[] | null {
    const [epoch, number = ""] = (after ?? "").split("-");
    const seq = Number(number);
    const first = this.#sent[0]?.seq ?? this.#seq + 1;
    const isKnown = epoch === this.#epoch && /^\d{1,15}$/.test(number);
    if (!isKnown || seq + 1 < first || seq > this.#seq) return null;
    return this.#sent.filter((event) => event.seq > seq).map(({ frame }) => frame);
  }
}

function encode(event: PageEvent, id?: string): string {
  return `${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(event)}\n\n`;
}
