/**
 * The one connection on which the server tells everything, opened again whenever it breaks and taken up where it was. Apart
 * because losing it is normal: phones sleep, networks change, servers restart.
 */
import { readBody, SseParser } from "@llava/protocol/browser";
import type { PageEvent } from "@llava/protocol/browser";
import { signal } from "@preact/signals";
import type { Signal } from "@preact/signals";

/** The server sends something every 10 s. */
const SILENCE_MS = 25_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

export class EventStreamClient {
  /** False while it is broken. */
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

  /** Runs as long as the page does. */
  start(): void {
    const hurry = (): void => {
      this.#numFailures = 0;
      this.#wake();
    };
    window.addEventListener("online", hurry);
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && hurry());
    void this.#run();
  }

  /** A new connection, on which all answers are told from their start. */
  beginAnew(): void {
    this.#lastId = "";
    this.#connection.abort();
    this.#wake();
  }

  /** Whether the controller's state is told too; the connection is opened anew. */
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
      // One that broke after minutes is normal; the second failure in a row is news.
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
        // What was on its way is told again on the next connection.
        if (aborted.aborted) return;
        clearTimeout(silence);
        silence = setTimeout(() => connection.abort(), SILENCE_MS);
        this.#numFailures = 0;
        this.isConnected.value = true;
        for (const { data } of parser.push(bytes)) this.#take(JSON.parse(data) as PageEvent);
        // After the events: what has not been taken is asked for again.
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
