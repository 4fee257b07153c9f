/**
 * Starts a TCP proxy between two programs that makes connections fail on demand: it delays, slices, cuts, resets and
 * blackholes. Random sizes and times are drawn from a seed.
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { seeded, wholeFrom } from "../../support/seeded-random.ts";

/**
 * How connections fail: with `cut` both ends see an orderly end, with `reset` both see a reset, with `blackhole` nothing
 * comes through any more, not even an end, until `heal`.
 */
export const CONNECTION_FAULTS = ["cut", "reset", "blackhole"] as const;
export type ConnectionFault = (typeof CONNECTION_FAULTS)[number];

export interface NetworkConditions {
  /** How long each piece waits before the next one is read. */
  readonly latencyMs?: number;
  /** The longest time that is added to it, at random. */
  readonly jitterMs?: number;
  /** The largest piece that goes on at once; sizes are drawn from 1 up to it. */
  readonly sliceBytes?: number;
  /** The fault of each connection that has brought this many bytes from the server. */
  readonly after?: { readonly bytes: number; readonly fault: ConnectionFault };
}

export interface TcpProxy extends AsyncDisposable {
  /** `http://127.0.0.1:…`, the same for the proxy's whole life. */
  readonly url: string;
  /** The connections that are open or blackholed. */
  readonly numOpen: number;
  /** Sets the server behind it; a connection before the first call is cut. */
  readonly aim: (url: string) => void;
  /** Sets the conditions of present and later connections. */
  readonly setConditions: (conditions: NetworkConditions) => void;
  /** Makes all present connections fail; a blackhole takes later ones too. */
  readonly inject: (fault: ConnectionFault) => void;
  /** Ends blackholes: what was held back goes on, ends and resets too. */
  readonly heal: () => void;
  /** Refuses new connections, as a port without a server does. */
  readonly refuse: () => void;
  /** Takes new connections again. */
  readonly admit: () => Promise<void>;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  downBytes: number;
  /** Whether bytes may pass; a closed one is a blackhole. */
  passage: Passage;
}

interface Passage {
  readonly isOpen: boolean;
  readonly opened: Promise<void>;
  readonly open: () => void;
}

/** @param target the server's URL, or null when `aim` sets it later */
export async function startTcpProxy(target: string | null, seed: number): Promise<TcpProxy> {
  const random = seeded(seed);
  const links = new Set<Link>();
  let port = portOf(target);
  let conditions: NetworkConditions = {};
  let isBlackhole = false;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    client.on("error", () => undefined);
    if (port === null) return void client.destroy();
    const link: Link = {
      client,
      server: connectTo(port),
      downBytes: 0,
      passage: isBlackhole ? blackhole() : OPEN,
    };
    links.add(link);
    const env = { conditions: () => conditions, random };
    void Promise.all([pump(link, "up", env), pump(link, "down", env)]).finally(() => links.delete(link));
  });
  const ownPort = await listen(server, 0);
  const heal = (): void => {
    isBlackhole = false;
    for (const link of links) openPassage(link);
  };
  return {
    url: `http://127.0.0.1:${ownPort}`,
    get numOpen() {
      return links.size;
    },
    aim: (url) => void (port = portOf(url)),
    setConditions: (next) => void (conditions = next),
    inject: (fault) => {
      isBlackhole ||= fault === "blackhole";
      for (const link of links) hit(link, fault);
    },
    heal,
    // It stops listening at once; only its "close" event waits for all connections.
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
  readonly conditions: () => NetworkConditions;
  readonly random: () => number;
}

/** Carries one direction of a link until its end, which it passes on. */
async function pump(link: Link, direction: Direction, env: Surroundings): Promise<void> {
  const [from, to] = direction === "up" ? [link.client, link.server] : [link.server, link.client];
  try {
    for await (const chunk of from.iterator({ destroyOnReturn: false })) {
      const { latencyMs = 0, jitterMs = 0, sliceBytes } = env.conditions();
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
  const conditions = env.conditions();
  const limit = direction === "down" ? conditions.after : undefined;
  const room = limit === undefined ? Infinity : Math.max(0, limit.bytes - link.downBytes);
  const allowed = piece.subarray(0, room);
  if (direction === "down") link.downBytes += allowed.length;
  if (allowed.length > 0) await write(to, allowed);
  // A piece in a turn of its own is a packet of its own.
  if (conditions.sliceBytes !== undefined) await turn();
  // Not when the conditions changed meanwhile: a blackhole that begins after `heal` would never end.
  if (limit !== undefined && env.conditions() === conditions && link.downBytes >= limit.bytes)
    hit(link, limit.fault);
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

function hit(link: Link, fault: ConnectionFault): void {
  const { client, server } = link;
  if (fault === "blackhole") {
    if (link.passage.isOpen) link.passage = blackhole();
    return;
  }
  for (const socket of [client, server]) {
    if (fault === "reset") socket.resetAndDestroy();
    else socket.destroySoon();
  }
}

function openPassage(link: Link): void {
  link.passage.open();
  link.passage = OPEN;
}

const OPEN: Passage = { isOpen: true, opened: Promise.resolve(), open: () => undefined };

function blackhole(): Passage {
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
