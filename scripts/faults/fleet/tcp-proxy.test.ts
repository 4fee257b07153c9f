import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startTcpProxy, CONNECTION_FAULTS, type TcpProxy } from "./tcp-proxy.ts";

let echo: Server;
let proxy: TcpProxy;
const sockets: Socket[] = [];
const accepted: Socket[] = [];
/** How the connections of its clients ended, as the server saw it. */
let endings: string[] = [];

beforeEach(async () => {
  endings = [];
  echo = createServer((socket) => {
    accepted.push(socket);
    socket.on("error", (error) => endings.push("code" in error ? String(error.code) : error.name));
    socket.on("end", () => endings.push("end"));
    socket.pipe(socket);
  });
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  const address = echo.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  proxy = await startTcpProxy(`http://127.0.0.1:${address.port}`, 1);
});
afterEach(async () => {
  for (const socket of [...sockets.splice(0), ...accepted.splice(0)]) socket.destroy();
  await proxy[Symbol.asyncDispose]();
  echo.close();
});

async function open(): Promise<Socket> {
  const socket = connect(Number(new URL(proxy.url).port), "127.0.0.1");
  sockets.push(socket);
  await once(socket, "connect");
  return socket;
}

async function exchange(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [answer] = await once(socket, "data");
  return String(answer);
}

describe("a proxy in any conditions", () => {
  it.each([
    ["fair", {}, 1],
    ["slow", { latencyMs: 2, jitterMs: 3 }, 1],
    ["sliced", { sliceBytes: 700 }, 100],
  ])("%s, every byte comes through in order, and the end", async (_name, conditions, leastPieces) => {
    proxy.setConditions(conditions);
    const socket = await open();
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
    socket.end(sent);
    const received: Buffer[] = [];
    for await (const bytes of socket) received.push(bytes);
    expect(Buffer.concat(received).equals(sent)).toBe(true);
    expect(received.length).toBeGreaterThanOrEqual(leastPieces);
    await vi.waitFor(() => expect(proxy.numOpen).toBe(0));
    expect(endings).toEqual(["end"]);
  });
});

describe("a connection fault", () => {
  it.each([
    ["cut", "end", "end"],
    ["reset", "ECONNRESET", "ECONNRESET"],
  ] as const)("of the kind %s is seen at both ends", async (fault, clientSees, serverSees) => {
    const socket = await open();
    expect(await exchange(socket, "hello")).toBe("hello");
    const ending = new Promise<string>((resolve) => {
      socket.once("end", () => resolve("end"));
      socket.once("error", (error) => resolve("code" in error ? String(error.code) : error.name));
    });
    proxy.inject(fault);
    expect(await ending).toBe(clientSees);
    await vi.waitFor(() => expect(endings).toEqual([serverSees]));
    await vi.waitFor(() => expect(proxy.numOpen).toBe(0));
    expect(await exchange(await open(), "again")).toBe("again");
  });

  it.each(CONNECTION_FAULTS)("of the kind %s comes after exactly so many bytes", async (fault) => {
    proxy.setConditions({ after: { bytes: 10, fault }, sliceBytes: 3 });
    const socket = await open();
    socket.on("error", () => undefined);
    let received = "";
    socket.on("data", (bytes: Buffer) => (received += bytes.toString()));
    socket.write("0123456789abcdef");
    await vi.waitFor(() => expect(received).toBe("0123456789"));
    if (fault !== "blackhole") await vi.waitFor(() => expect(proxy.numOpen).toBe(0));
    else expect(proxy.numOpen).toBe(1);
  });

  it("of the kind blackhole holds everything back, the end too, until it heals", async () => {
    const socket = await open();
    expect(await exchange(socket, "hello")).toBe("hello");
    proxy.inject("blackhole");
    const later = await open();
    let received = "";
    for (const each of [socket, later]) each.on("data", (bytes: Buffer) => (received += bytes.toString()));
    socket.end("old ");
    later.write("new ");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect({ received, endings }).toEqual({ received: "", endings: [] });
    proxy.heal();
    await vi.waitFor(() => expect(received.split(" ").toSorted()).toEqual(["", "new", "old"]));
    await vi.waitFor(() => expect(endings).toEqual(["end"]));
  });
});

it("the proxy injects no fault after the conditions have changed and it is healed", async () => {
  const socket = await open();
  proxy.inject("blackhole");
  proxy.setConditions({ after: { bytes: 1, fault: "blackhole" } });
  let received = "";
  socket.on("data", (bytes: Buffer) => (received += bytes.toString()));
  socket.write("hello");
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(received).toBe("");
  proxy.setConditions({});
  proxy.heal();
  await vi.waitFor(() => expect(received).toBe("hello"));
});

it("the proxy refuses like a port without a server, and takes connections again at the same port", async () => {
  const socket = await open();
  proxy.refuse();
  await expect(open()).rejects.toMatchObject({ code: "ECONNREFUSED" });
  expect(await exchange(socket, "still there")).toBe("still there");
  await proxy.admit();
  expect(await exchange(await open(), "hello")).toBe("hello");
});
