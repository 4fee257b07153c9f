/**
 * Reads the server's stream of events. It connects again whenever the connection breaks, which is normal (phones
 * sleep, networks change, servers restart), and continues after the last event that was read.
 */
import { readBody, SseParser } from "@llava/protocol/browser";
import type { PageEvent } from "@llava/protocol/browser";
import { signal } from "@preact/signals";
import type { Signal } from "@preact/signals";

/** Longest pause between two events, milliseconds; the server sends a comment every 10 s. */
const SILENCE_MS = 25_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

export class EventStreamClient {
  /** False after two failures in a row. */
  readonly isConnected: Signal<boolean> = signal(true);
  readonly #take: (event: PageEvent) => void;
  #query = "";
  #lastId = "";
  #numFailures = 0;
  #connection = new AbortController();
  #wake: () => void = () => undefined;

  constructor(take: (event: PageEvent) => void) {
    this.#take = take;
  }

  /** Connects for as long as the page is open. */
  start(): void {
    const hurry = (): void => {
      this.#numFailures = 0;
      this.#wake();
    };
    window.addEventListener("online", hurry);
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && hurry());
    void this.#run();
  }

  /** Opens a new connection, on which the server sends all answers from their start. */
  reconnectFromStart(): void {
    this.#lastId = "";
    this.#connection.abort();
    this.#wake();
  }

  /** Opens a new connection if the wish to receive the controller's state has changed. */
  watchCluster(isWatching: boolean): void {
    const query = isWatching ? "cluster=1" : "";
    if (query === this.#query) return;
    this.#query = query;
    this.#connection.abort();
    this.#wake();
  }

  async #run(): Promise<void> {
    for (;;) {
      const connection = new AbortController();
      this.#connection = connection;
      await this.#listen(connection).catch(() => undefined);
      this.#numFailures += 1;
      // A connection that breaks after minutes is normal; only the second failure in a row is reported.
      if (this.#numFailures > 1) this.isConnected.value = false;
      await this.#pause();
    }
  }

  async #listen(connection: AbortController): Promise<void> {
    const { signal: aborted } = connection;
    let silence = setTimeout(() => connection.abort(), SILENCE_MS);
    try {
      const response = await fetch(`/api/events?${this.#query}&after=${this.#lastId}`, { signal: aborted });
      if (!response.ok) return;
      const parser = new SseParser();
      for await (const bytes of readBody(response.body)) {
        // The next connection repeats the events that were still in transit.
        if (aborted.aborted) return;
        clearTimeout(silence);
        silence = setTimeout(() => connection.abort(), SILENCE_MS);
        this.#numFailures = 0;
        this.isConnected.value = true;
        for (const { data } of parser.push(bytes)) this.#take(JSON.parse(data) as PageEvent);
        // The id is stored after its events were handled, so that events which were not handled are requested again.
        this.#lastId = parser.lastEventId || this.#lastId;
      }
    } finally {
      clearTimeout(silence);
      connection.abort();
    }
  }

  async #pause(): Promise<void> {
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#numFailures - 1));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, longest * (0.5 + Math.random() / 2));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
