/**
 * Acts as a browser without a page, with a cookie, questions and connections for events, for tests of the page's
 * routes.
 */
import { readBody, SseParser } from "@llava/protocol";
import type { PageEvent } from "@llava/protocol";
import { expect } from "vitest";

export const QUESTION = { model: "llava-demo", messages: [{ role: "user", content: "What is red?" }] };
export const JSON_TYPE = { "content-type": "application/json" };

export class Visitor {
  cookie = "";
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async send(method: string, path: string, body?: object): Promise<Response> {
    const headers = { ...(body ? JSON_TYPE : {}), ...(this.cookie ? { cookie: this.cookie } : {}) };
    const response = await fetch(this.#url + path, {
      method,
      headers,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    this.#keep(response);
    return response;
  }

  /** Resolves to the id of the answer. */
  async ask(question: object = QUESTION): Promise<string> {
    const response = await this.send("POST", "/api/chat", question);
    expect(response.status).toBe(202);
    const { stream } = (await response.json()) as { stream: string };
    return stream;
  }

  /** @param url another address of the same server */
  async listen({ after, query = "", url = this.#url }: Listening = {}): Promise<EventReader> {
    const leaving = new AbortController();
    const since = after === undefined ? "" : `&after=${after}`;
    const response = await fetch(`${url}/api/events?${query}${since}`, {
      headers: this.cookie ? { cookie: this.cookie } : {},
      signal: leaving.signal,
    });
    expect(response.status).toBe(200);
    this.#keep(response);
    return new EventReader(response, leaving);
  }

  #keep(response: Response): void {
    const [first] = response.headers.getSetCookie();
    if (first === undefined) return;
    expect(first).toMatch(/^llava_session=[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Strict/);
    this.cookie = first.split(";")[0] ?? "";
  }
}

interface Listening {
  /** Id of the last event that was received. */
  readonly after?: string;
  readonly query?: string;
  readonly url?: string;
}

export class EventReader {
  readonly events: PageEvent[] = [];
  /** Id of the last whole event. */
  lastId = "";
  readonly #leaving: AbortController;
  /** Resolves when the connection has ended in any way. */
  readonly done: Promise<void>;

  constructor(response: Response, leaving: AbortController) {
    this.#leaving = leaving;
    this.done = this.#read(response).catch(() => undefined);
  }

  leave(): void {
    this.#leaving.abort();
  }

  /** The text that a page would show which has shown `before`. */
  textOf(stream: string, before = ""): string {
    let text = before;
    for (const event of this.events) {
      if (event.type === "snapshot" && event.stream === stream) text = event.text;
      if (event.type === "delta" && event.stream === stream) text += event.text;
    }
    return text;
  }

  /** Whether the end of the answer was received. */
  hasEnd(stream: string): boolean {
    return this.events.some(
      (event) =>
        (event.type === "end" && event.stream === stream) ||
        (event.type === "snapshot" && event.stream === stream && event.end !== null),
    );
  }

  async received(type: PageEvent["type"]): Promise<PageEvent> {
    await expect.poll(() => this.events.find((event) => event.type === type)).toBeDefined();
    return this.events.find((event) => event.type === type) as PageEvent;
  }

  async #read(response: Response): Promise<void> {
    const parser = new SseParser();
    for await (const bytes of readBody(response.body)) {
      for (const { data } of parser.push(bytes)) this.events.push(JSON.parse(data) as PageEvent);
      this.lastId = parser.lastEventId;
    }
  }
}
