/** Which browser is asking, by a cookie that no script can read; a table of bounded size. */
import { randomBytes } from "node:crypto";

import { LlavaError } from "@llava/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";

import { Session } from "./browser-session.ts";

const COOKIE = "llava_session";
const ID = /^[0-9a-f]{32}$/;
const MAX_SESSIONS = 1_000;
/** Characters of all answers and events; looked at once a minute, in which little is generated beside this. */
const MAX_LENGTH = 256 << 20;
/** A month: the page's own history stays as long as the browser wants. */
const COOKIE_AGE_S = 30 * 86_400;
const SWEEP_MS = 60_000;
/** How long the end of an answer can be come back for. */
const KEPT_MS = 10 * 60_000;
/** How long an answer runs on while nobody listens. */
const UNHEARD_MS = 10 * 60_000;

export class Sessions {
  /** Least recently used first. */
  readonly #sessions = new Map<string, Session>();
  #stopped: LlavaError | null = null;
  readonly #sweeping: NodeJS.Timeout;

  constructor() {
    this.#sweeping = setInterval(() => this.#sweep(performance.now()), SWEEP_MS).unref();
  }

  /**
   * The session of a request; a browser without one gets it with the answer, and each request makes it last.
   * @throws LlavaError overloaded, or what it was stopped with
   */
  of(request: FastifyRequest, reply: FastifyReply): Session {
    if (this.#stopped !== null) throw this.#stopped;
    const known = cookieOf(request);
    const id = known ?? randomBytes(16).toString("hex");
    const session = this.#sessions.get(id) ?? this.#begin();
    session.usedMs = performance.now();
    this.#sessions.delete(id);
    this.#sessions.set(id, session);
    reply.header("set-cookie", cookie(id));
    return session;
  }

  /** Null when the request comes without one that is known: it has nothing to find. */
  find(request: FastifyRequest): Session | null {
    return this.#sessions.get(cookieOf(request) ?? "") ?? null;
  }

  /** All answers end with this, and no other begins. */
  stop(reason: LlavaError): void {
    clearInterval(this.#sweeping);
    this.#stopped = reason;
    for (const { streams } of this.#sessions.values()) for (const stream of streams) stream.stop(reason);
  }

  #begin(): Session {
    if (this.#sessions.size >= MAX_SESSIONS && !this.#dropOldest()) throw tooManySessions();
    return new Session(performance.now());
  }

  /** Of those whose answers have ended and on which nobody listens; false when there is none. */
  #dropOldest(): boolean {
    const [id] = [...this.#sessions].find(([, { isBusy, isHeard }]) => !isBusy && !isHeard) ?? [];
    return id !== undefined && this.#sessions.delete(id);
  }

  #sweep(nowMs: number): void {
    let length = 0;
    for (const session of this.#sessions.values()) {
      session.forget(nowMs - KEPT_MS);
      if (session.isHeard) session.usedMs = nowMs;
      else if (nowMs - session.usedMs > UNHEARD_MS) for (const stream of session.streams) stream.stop();
      length += session.length;
    }
    // Half of it at once, so that not every minute is one of these.
    if (length > MAX_LENGTH) for (let left = this.#sessions.size / 2; left > 0 && this.#dropOldest(); left--);
  }
}

function tooManySessions(): LlavaError {
  const sentence = "The page is open in as many browsers as this server takes. Try again in a minute.";
  return new LlavaError("overloaded", sentence);
}

function cookieOf({ headers }: FastifyRequest): string | null {
  for (const pair of (headers.cookie ?? "").split(";")) {
    const [name, value = ""] = pair.trim().split("=");
    if (name === COOKIE && ID.test(value)) return value;
  }
  return null;
}

/** Not `Secure`: the server speaks plain HTTP, and a proxy in front of it that speaks TLS may add the word. */
function cookie(id: string): string {
  return `${COOKIE}=${id}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${COOKIE_AGE_S}`;
}
