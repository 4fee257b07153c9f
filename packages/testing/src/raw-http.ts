/** Bytes on a socket as no HTTP client would send them, and a server to send them to. */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { createServer, type ServerOptions } from "@llava/server";

/** One route for each role, and one that takes images; each says what it got. */
export async function startServer(options: Partial<ServerOptions> = {}): Promise<{
  readonly app: FastifyInstance;
  readonly url: string;
}> {
  const app = createServer({ bodies: "json", seeAlso: "See GET /open.", ...options });
  app.get("/open", { config: { role: "public" } }, async () => ({ answer: "open" }));
  for (const role of ["user", "admin", "cluster"] as const) {
    app.post(`/${role}`, { config: { role } }, async ({ body }) => ({ answer: role, body }));
    app.get(`/${role}`, { config: { role } }, async () => ({ answer: role }));
  }
  app.post("/stream", { config: { role: "user" } }, (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { "content-type": "application/json" }).end('"written by hand"');
  });
  app.put("/image", { config: { role: "user", accepts: ["image/*"] } }, async ({ body }) => ({
    bytes: Buffer.isBuffer(body) ? body.length : null,
  }));
  return { app, url: await app.listen({ host: "127.0.0.1", port: 0 }) };
}

/** Sends the parts one after the other and reads until the server closes. */
export async function talk(url: string, parts: Iterable<string>, pauseMs = 0): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setEncoding("latin1");
  let answer = "";
  socket.on("data", (text: string) => (answer += text));
  // A server that refuses may close while we still write.
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  let isClosed = false;
  void closed.then(() => (isClosed = true));
  for (const part of parts) {
    if (isClosed) break;
    socket.write(part, "latin1");
    if (pauseMs > 0) await sleep(pauseMs);
  }
  await closed;
  return answer;
}

/** The status of an answer as bytes; NaN when there is none. */
export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly code: string | undefined;
  readonly body: unknown;
}

export async function ask(
  url: string,
  init: {
    readonly method?: string;
    readonly body?: string;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Promise<Answer> {
  const { method = "POST", body = method === "GET" ? undefined : "{}", headers = {} } = init;
  const response = await fetch(url, {
    method,
    headers: { "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body }),
  });
  const answer: unknown = await response.json();
  return { status: response.status, headers: response.headers, code: codeIn(answer), body: answer };
}

function codeIn(answer: unknown): string | undefined {
  if (typeof answer !== "object" || answer === null || !("error" in answer)) return undefined;
  const { error } = answer;
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : undefined;
}
