/** Finds a browser's session by a cookie that no script can read, in a table of bounded size. */
import { randomBytes } from "node:crypto";

import { LlavaError } from "@llava/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";

import { Session } from "./browser-session.ts";

const COOKIE = "llava_session";
const ID = /^[0-9a-f]{32}$/;
const MAX_SESSIONS = 1_000;
/**
 * Most characters of all answers and events. It is checked once a minute, in which little is generated in comparison.
 */
const MAX_LENGTH = 256 << 20;
/** Age of the cookie, a month; the page's own history stays for as long as the browser keeps it. */
const COOKIE_AGE_S = 30 * 86_400;
const SWEEP_MS = 60_000;
/** Time for which an ended answer is kept, milliseconds. */
const KEPT_MS = 10 * 60_000;
/** Time after which an answer is stopped when no browser is connected, milliseconds. */
const UNWATCHED_MS = 10 * 60_000;

export class Sessions {
  /** Sessions by the value of the cookie, the least recently used first. */
  readonly #sessions = new Map<string, Session>();
  #stopped: LlavaError | null = null;
  readonly #sweeping: NodeJS.Timeout;

  constructor() {
    this.#sweeping = setInterval(() => this.#sweep(performance.now()), SWEEP_MS).unref();
  }

  /**
   * The session of a request. A browser without a session gets one with the answer, and each request renews it.
   * @throws LlavaError `overloaded`, or the reason with which the sessions were stopped
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

  /** Null for a request without a known session. */
  find(request: FastifyRequest): Session | null {
    return this.#sessions.get(cookieOf(request) ?? "") ?? null;
  }

  /** Ends all answers with a reason and starts no more sessions. */
  stop(reason: LlavaError): void {
    clearInterval(this.#sweeping);
    this.#stopped = reason;
    for (const { streams } of this.#sessions.values()) for (const stream of streams) stream.stop(reason);
  }

  #begin(): Session {
    if (this.#sessions.size >= MAX_SESSIONS && !this.#dropOldest()) throw tooManySessions();
    return new Session(performance.now());
  }

  /** Removes the oldest session without running answers and without connections; false when there is none. */
  #dropOldest(): boolean {
    const [id] = [...this.#sessions].find(([, { isBusy, hasListeners }]) => !isBusy && !hasListeners) ?? [];
    return id !== undefined && this.#sessions.delete(id);
  }

  #sweep(nowMs: number): void {
    let length = 0;
    for (const session of this.#sessions.values()) {
      session.forget(nowMs - KEPT_MS);
      if (session.hasListeners) session.usedMs = nowMs;
      else if (nowMs - session.usedMs > UNWATCHED_MS) for (const stream of session.streams) stream.stop();
      length += session.length;
    }
    // Half of the sessions are removed at once, so that the next minute does not remove some again.
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

/**
 * The cookie is not `Secure` because the server itself uses plain HTTP; a proxy with TLS in front of it may add the
 * attribute.
 */
function cookie(id: string): string {
  return `${COOKIE}=${id}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${COOKIE_AGE_S}`;
}
