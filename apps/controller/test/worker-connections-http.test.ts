/** Tests that connections to a worker are kept, and that the worker may close one just when it is used again. Over real HTTP. */
import { createServer, type Server } from "node:http";
import type { Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { isConnectionFailure, WorkerClient } from "../src/fleet/worker-client.ts";
import { WorkerConnections } from "../src/fleet/worker-connections.ts";
import { listen } from "./support/http-server.ts";
import { closeAll, closeLater, until } from "./support/stand-in.ts";

afterEach(closeAll);

/** A worker that closes the connection instead of answering where `breaks` is true for a request's index among all. */
async function startServer(
  breaks: (place: number) => boolean,
): Promise<{ url: string; sockets: Socket[]; nonces: unknown[] }> {
  const sockets: Socket[] = [];
  const nonces: unknown[] = [];
  let place = 0;
  const server: Server = createServer((request, response) => {
    sockets.push(request.socket);
    nonces.push(request.headers["x-llava-nonce"]);
    if (breaks((place += 1))) return void request.socket.destroy();
    return response.end("done");
  });
  const url = await listen(server);
  closeLater(async () => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { url, sockets, nonces };
}

function connections(): WorkerConnections {
  const kept = new WorkerConnections(isConnectionFailure);
  closeLater(() => kept.close());
  return kept;
}

async function ask(kept: WorkerConnections, url: string): Promise<string> {
  const { body } = await kept.request(`${url}/path`, { method: "POST", body: () => "{}" });
  const closed = new Promise((resolve) => body.once("close", resolve));
  const text = await body.text();
  await closed;
  return text;
}

it("a connection whose answer was read whole is used again", async () => {
  const { url, sockets } = await startServer(() => false);
  const kept = connections();
  for (let i = 0; i < 3; i += 1) expect(await ask(kept, url)).toBe("done");
  expect(new Set(sockets).size).toBe(1);
});

it("a request is sent again on a new connection, once, when a kept one breaks before any answer", async () => {
  const { url, sockets } = await startServer((place) => place === 2);
  const kept = connections();
  expect(await ask(kept, url)).toBe("done");
  expect(await ask(kept, url)).toBe("done");
  expect(sockets).toHaveLength(3);
  expect(sockets[2]).not.toBe(sockets[0]);
});

it("a request that is sent again has a new signature, as its worker takes none twice", async () => {
  const { url, nonces } = await startServer((place) => place === 2);
  const client = new WorkerClient("a".repeat(64));
  closeLater(() => client.close());
  const { signal } = new AbortController();
  for (let i = 0; i < 2; i += 1) {
    const { body } = await client.post(url, "/path", [Buffer.from("{}")], {}, { signal, silenceMs: 10_000 });
    const closed = new Promise((resolve) => body.once("close", resolve));
    expect(await body.text()).toBe("done");
    await closed;
  }
  expect(nonces).toHaveLength(3);
  expect(new Set(nonces).size).toBe(3);
  expect(nonces).not.toContain(undefined);
});

it("a request is not sent again when a new connection breaks, nor more than once", async () => {
  const never = await startServer(() => true);
  await expect(ask(connections(), never.url)).rejects.toSatisfy(isConnectionFailure);
  expect(never.sockets).toHaveLength(1);
  const later = await startServer((place) => place > 1);
  const kept = connections();
  expect(await ask(kept, later.url)).toBe("done");
  await expect(ask(kept, later.url)).rejects.toSatisfy(isConnectionFailure);
  expect(later.sockets).toHaveLength(3);
});

it("a connection whose answer was left in the middle is not used again", async () => {
  const { url, sockets } = await startServer(() => false);
  const kept = connections();
  const { body } = await kept.request(url, { method: "POST", body: () => "{}" });
  body.on("error", () => undefined).destroy();
  await until(() => body.closed);
  expect(await ask(kept, url)).toBe("done");
  expect(new Set(sockets).size).toBe(2);
});
