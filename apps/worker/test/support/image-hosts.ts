/** Servers and name servers for the tests of fetching images: one that counts as public, one that must not be reached. */
import { createSocket, type RemoteInfo, type Socket as Datagrams } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createTcpServer } from "node:net";

/** Where the servers are that tests declare to be on the public network. */
export const PUBLIC = "127.0.0.7";

export interface Host extends AsyncDisposable {
  readonly port: number;
  /** `METHOD path` of each request, or a line for each connection. */
  readonly seen: readonly string[];
}

export function certificate(name: string): string {
  return readFileSync(new URL(`certificates/${name}`, import.meta.url), "utf8");
}

export async function imageHost(
  answer: (response: ServerResponse, request: IncomingMessage) => void,
  { address = PUBLIC, tls }: { readonly address?: string; readonly tls?: string } = {},
): Promise<Host> {
  const seen: string[] = [];
  const listener: RequestListener = (request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host?.split(":")[0]}`);
    answer(response, request);
  };
  // Heads may be as large as a test wants to send them.
  const server: Server =
    tls === undefined
      ? createServer(listener)
      : createTlsServer({ cert: certificate(tls), key: certificate("server.key") }, listener);
  server.listen(0, address);
  await once(server, "listening");
  return {
    port: portOf(server.address()),
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Counts connections to this machine's own addresses, which no request for an image may make. */
export async function canary(port: number): Promise<Host> {
  const seen: string[] = [];
  const servers = ["127.0.0.1", "::1"].map((address) => {
    const server = createTcpServer((socket) => {
      seen.push(address);
      socket.destroy();
    });
    server.listen(port, address);
    return server;
  });
  await Promise.all(servers.map(async (server) => await once(server, "listening")));
  return {
    port,
    seen,
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

/** What a name server says of a name: addresses of either kind, another name first, or nothing at all. */
export interface Zone {
  readonly cname?: string;
  /** One list for each query, the last one for all later ones. */
  readonly a?: readonly (readonly string[])[];
  readonly aaaa?: readonly string[];
  readonly isSilent?: boolean;
}

export interface NameServer extends AsyncDisposable {
  readonly address: string;
  /** Names as they were asked for, with their kind. */
  readonly seen: readonly string[];
}

const KINDS: Readonly<Record<number, "A" | "AAAA">> = { 1: "A", 28: "AAAA" };

export async function nameServer(zones: Readonly<Record<string, Zone>>): Promise<NameServer> {
  const seen: string[] = [];
  const socket: Datagrams = createSocket("udp4");
  const asked = new Map<string, number>();
  socket.on("message", (query: Buffer, from: RemoteInfo) => {
    const { name, kind, end } = questionOf(query);
    seen.push(`${KINDS[kind]} ${name}`);
    const zone = zones[name];
    if (zone?.isSilent) return;
    const count = asked.get(`${name} ${kind}`) ?? 0;
    asked.set(`${name} ${kind}`, count + 1);
    const records = recordsOf(zone, kind, count);
    const header = Buffer.from(query.subarray(0, 12));
    // An answer with recursion; 3 is "no such name".
    header.writeUInt16BE(zone ? 0x8180 : 0x8183, 2);
    header.writeUInt16BE(records.length, 6);
    header.fill(0, 8, 12);
    socket.send(Buffer.concat([header, query.subarray(12, end), ...records]), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    seen,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}

function questionOf(query: Buffer): { name: string; kind: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), kind: query.readUInt16BE(at + 1), end: at + 5 };
}

function recordsOf(zone: Zone | undefined, kind: number, count: number): Buffer[] {
  const lists = zone?.a ?? [];
  const addresses =
    KINDS[kind] === "A" ? (lists[Math.min(count, lists.length - 1)] ?? []) : (zone?.aaaa ?? []);
  const target = zone?.cname;
  const alias = target === undefined ? [] : [record(Buffer.from([0xc0, 12]), 5, nameBytes(target))];
  const owner = target === undefined ? Buffer.from([0xc0, 12]) : nameBytes(target);
  return [...alias, ...addresses.map((address) => record(owner, kind, addressBytes(address)))];
}

function record(owner: Buffer, kind: number, data: Buffer): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(kind, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, fixed, data]);
}

function nameBytes(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

/** Reads IPv6 addresses only where they end in 16 bits after `::`. */
function addressBytes(address: string): Buffer {
  if (!address.includes(":")) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail = ""] = address.split("::");
  const bytes = Buffer.alloc(16);
  for (const [index, group] of head.split(":").filter(Boolean).entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  bytes.writeUInt16BE(Number.parseInt(tail || "0", 16), 14);
  return bytes;
}

function portOf(address: ReturnType<Server["address"]>): number {
  if (address === null || typeof address === "string") throw new Error("The server has no port.");
  return address.port;
}
