/**
 * A stretch of network that goes wrong on demand: a TCP proxy between two programs of ours that delays, slices, cuts,
 * resets and swallows. What it draws, it draws from a seed.
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { seeded, wholeFrom } from "./seeded-random.ts";

/**
 * What happens to connections: `cut` both ends see an orderly end, `reset` both see a reset, `hole` nothing comes through
 * any more, not even an end, until `heal`.
 */
export const STRIKES = ["cut", "reset", "hole"] as const;
export type Strike = (typeof STRIKES)[number];

export interface Weather {
  /** Each piece waits so long, and up to `jitterMs` more, before the next one is read. */
  readonly latencyMs?: number;
  readonly jitterMs?: number;
  /** Largest piece that goes on at once; sizes are drawn from 1 up to it. */
  readonly sliceBytes?: number;
  /** Strikes a connection when it has brought as many bytes from the server. */
  readonly after?: { readonly bytes: number; readonly strike: Strike };
}

export interface TcpProxy extends AsyncDisposable {
  /** `http://127.0.0.1:…`, the same for the proxy's whole life. */
  readonly url: string;
  /** Connections that are open or lie in a hole. */
  readonly numOpen: number;
  /** The server behind it; a connection that comes before there is one is cut. */
  readonly aim: (url: string) => void;
  /** For connections that are there and those that come. */
  readonly setWeather: (weather: Weather) => void;
  /** All connections that are there; a hole takes those that come, too. */
  readonly strike: (strike: Strike) => void;
  /** Ends holes: what was held back goes on, ends and resets too. */
  readonly heal: () => void;
  /** Refuses connections that come, as a port does at which nobody listens. */
  readonly refuse: () => void;
  /** Takes connections again. */
  readonly admit: () => Promise<void>;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  downBytes: number;
  /** Resolves when bytes may pass; a pending one is a hole. */
  passage: Passage;
}

interface Passage {
  readonly isOpen: boolean;
  readonly opened: Promise<void>;
  readonly open: () => void;
}

/** @param target the server's URL, or null when `aim` will name it */
export async function startTcpProxy(target: string | null, seed: number): Promise<TcpProxy> {
  const random = seeded(seed);
  const links = new Set<Link>();
  let port = portOf(target);
  let weather: Weather = {};
  let isHole = false;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    client.on("error", () => undefined);
    if (port === null) return void client.destroy();
    const link: Link = { client, server: connectTo(port), downBytes: 0, passage: isHole ? hole() : OPEN };
    links.add(link);
    const env = { weather: () => weather, random };
    void Promise.all([pump(link, "up", env), pump(link, "down", env)]).finally(() => links.delete(link));
  });
  const ownPort = await listen(server, 0);
  const heal = (): void => {
    isHole = false;
    for (const link of links) openPassage(link);
  };
  return {
    url: `http://127.0.0.1:${ownPort}`,
    get numOpen() {
      return links.size;
    },
    aim: (url) => void (port = portOf(url)),
    setWeather: (next) => void (weather = next),
    strike: (strike) => {
      isHole ||= strike === "hole";
      for (const link of links) hit(link, strike);
    },
    heal,
    // Its "close" waits for all connections; it listens no longer at once.
    refuse: () => void (server.listening && server.close()),
    admit: async () => void (server.listening || (await listen(server, ownPort))),
    async [Symbol.asyncDispose]() {
      if (server.listening) server.close();
      for (const link of links) {
        hit(link, "reset");
        openPassage(link);
      }
    },
  };
}

type Direction = "up" | "down";

interface Surroundings {
  readonly weather: () => Weather;
  readonly random: () => number;
}

/** Carries one direction of a link until its end, which it passes on. */
async function pump(link: Link, direction: Direction, env: Surroundings): Promise<void> {
  const [from, to] = direction === "up" ? [link.client, link.server] : [link.server, link.client];
  try {
    for await (const chunk of from.iterator({ destroyOnReturn: false })) {
      const { latencyMs = 0, jitterMs = 0, sliceBytes } = env.weather();
      const waitMs = latencyMs + jitterMs * env.random();
      if (waitMs > 0) await sleep(waitMs);
      for (const piece of slices(chunk, sliceBytes, env.random)) await pass(link, direction, piece, to, env);
    }
    await link.passage.opened;
    to.end();
  } catch {
    await link.passage.opened;
    // One end was reset or is gone; the other one sees the same.
    to.resetAndDestroy();
    from.destroy();
  }
}

async function pass(
  link: Link,
  direction: Direction,
  piece: Buffer,
  to: Socket,
  env: Surroundings,
): Promise<void> {
  await link.passage.opened;
  const weather = env.weather();
  const limit = direction === "down" ? weather.after : undefined;
  const room = limit === undefined ? Infinity : Math.max(0, limit.bytes - link.downBytes);
  const allowed = piece.subarray(0, room);
  if (direction === "down") link.downBytes += allowed.length;
  if (allowed.length > 0) await write(to, allowed);
  // A turn of its own is a packet of its own.
  if (weather.sliceBytes !== undefined) await turn();
  // Not when the weather changed meanwhile: nobody would open a hole that comes after `heal`.
  if (limit !== undefined && env.weather() === weather && link.downBytes >= limit.bytes)
    hit(link, limit.strike);
  await link.passage.opened;
  if (allowed.length < piece.length) await write(to, piece.subarray(allowed.length));
}

async function write(to: Socket, piece: Buffer): Promise<void> {
  if (to.destroyed || to.writableEnded) throw new Error("the other end is gone");
  if (to.write(piece)) return;
  const left = new AbortController();
  const gone = once(to, "close", { signal: left.signal });
  await Promise.race([once(to, "drain", { signal: left.signal }), gone]).finally(() => left.abort());
}

function* slices(chunk: Buffer, most: number | undefined, random: () => number): Generator<Buffer> {
  for (let start = 0; start < chunk.length;) {
    const size = most === undefined ? chunk.length : wholeFrom(random, 1, most);
    yield chunk.subarray(start, start + size);
    start += size;
  }
}

function hit(link: Link, strike: Strike): void {
  const { client, server } = link;
  if (strike === "hole") {
    if (link.passage.isOpen) link.passage = hole();
    return;
  }
  for (const socket of [client, server]) {
    if (strike === "reset") socket.resetAndDestroy();
    else socket.destroySoon();
  }
}

function openPassage(link: Link): void {
  link.passage.open();
  link.passage = OPEN;
}

const OPEN: Passage = { isOpen: true, opened: Promise.resolve(), open: () => undefined };

function hole(): Passage {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { isOpen: false, opened: promise, open: resolve };
}

function connectTo(port: number): Socket {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  return socket.on("error", () => undefined);
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  return address.port;
}

function portOf(url: string | null): number | null {
  return url === null ? null : Number(new URL(url).port);
}
