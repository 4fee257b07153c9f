/** Which browser is asking, by a cookie that no script can read; a table of bounded size. */
import { randomBytes } from "node:crypto";

import type { FastifyReply, FastifyRequest } from "fastify";

import { Session } from "./session.ts";

const COOKIE = "llava_session";
const ID = /^[0-9a-f]{32}$/;
const MAX_SESSIONS = 1_000;
/** A month: the page's own history stays as long as the browser wants. */
const COOKIE_AGE_S = 30 * 86_400;
const SWEEP_MS = 60_000;
/** How long the end of an answer can be come back for. */
const KEPT_MS = 10 * 60_000;
/** How long an answer runs on while nobody listens. */
const UNHEARD_MS = 10 * 60_000;

export class Sessions implements Disposable {
  /** Least recently used first. */
  readonly #sessions = new Map<string, Session>();
  readonly #sweeping: NodeJS.Timeout;

  constructor() {
    this.#sweeping = setInterval(() => this.#sweep(performance.now()), SWEEP_MS).unref();
  }

  get all(): readonly Session[] {
    return [...this.#sessions.values()];
  }

  /** The session of a request; a browser without one gets it with the answer. */
  of(request: FastifyRequest, reply: FastifyReply): Session {
    const known = cookieOf(request);
    const id = known ?? randomBytes(16).toString("hex");
    const session = this.#sessions.get(id) ?? new Session(performance.now());
    session.usedMs = performance.now();
    this.#sessions.delete(id);
    if (this.#sessions.size >= MAX_SESSIONS) this.#makeRoom();
    this.#sessions.set(id, session);
    if (known === null) reply.header("set-cookie", cookie(id));
    return session;
  }

  /** Null when the request comes without one that is known: it has nothing to find. */
  find(request: FastifyRequest): Session | null {
    return this.#sessions.get(cookieOf(request) ?? "") ?? null;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sweeping);
  }

  #makeRoom(): void {
    const [idle] = [...this.#sessions].find(([, { isBusy, isHeard }]) => !isBusy && !isHeard) ?? [];
    const [oldest] = this.#sessions.keys();
    const id = idle ?? oldest;
    if (id === undefined) return;
    for (const stream of this.#sessions.get(id)?.streams ?? []) stream.stop();
    this.#sessions.delete(id);
  }

  #sweep(nowMs: number): void {
    for (const session of this.#sessions.values()) {
      session.forget(nowMs - KEPT_MS);
      if (session.isHeard) session.usedMs = nowMs;
      else if (nowMs - session.usedMs > UNHEARD_MS) for (const stream of session.streams) stream.stop();
    }
  }
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
