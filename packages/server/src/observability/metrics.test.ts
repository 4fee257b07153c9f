import { connect } from "node:net";
import type { FastifyInstance } from "fastify";
import { afterEach, expect, test, vi } from "vitest";
import { addMetricsRoute, createMetrics, type Metrics } from "./metrics.ts";
import { createServer } from "../server.ts";

const opened: FastifyInstance[] = [];
afterEach(async () => {
  for (const app of opened.splice(0)) {
    app.server.closeAllConnections();
    await app.close();
  }
});

interface Watched {
  readonly url: string;
  readonly metrics: Metrics;
  /** Lets the answers of /slow go on. */
  readonly release: () => void;
}

async function startServer(): Promise<Watched> {
  const metrics = createMetrics();
  const gate = Promise.withResolvers<void>();
  const app = createServer({ bodies: "json", seeAlso: "", addFirst: metrics.edge.watch });
  opened.push(app);
  addMetricsRoute(app, metrics);
  const config = { role: "user" } as const;
  app.get("/quick", { config }, async () => ({ status: "ok" }));
  app.get("/slow", { config }, async () => {
    await gate.promise;
    return { status: "ok" };
  });
  app.get("/broken", { config }, async (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200);
    reply.raw.write("half of it");
    await gate.promise;
    reply.raw.destroy();
  });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  return { url, metrics, release: gate.resolve };
}

/** The sum over all labels. */
function total(page: string, name: string): number {
  const lines = page.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

async function httpCounts({
  metrics,
}: Watched): Promise<{ requests: number; responses: number; open: number }> {
  const page = await metrics.text();
  return {
    requests: total(page, "llava_http_requests_total"),
    responses: total(page, "llava_http_responses_total"),
    open: total(page, "llava_http_requests_in_flight"),
  };
}

async function reaches(server: Watched, edge: object): Promise<void> {
  await vi.waitFor(async () => expect(await httpCounts(server)).toEqual(edge));
}

test("HTTP metrics: requests minus responses are those in flight, however they end", async () => {
  const server = await startServer();
  const { url, release } = server;
  const leaving = new AbortController();
  const left = fetch(`${url}/slow`, { signal: leaving.signal });
  const waiting = [fetch(`${url}/slow`), fetch(`${url}/slow`)];
  const broken = await fetch(`${url}/broken`);
  await (await fetch(`${url}/quick`)).text();
  await (await fetch(`${url}/nowhere`)).text();
  await (await fetch(`${url}/quick`, { method: "POST", headers: { host: "evil.example" } })).text();
  await reaches(server, { requests: 7, responses: 3, open: 4 });
  leaving.abort();
  await expect(left).rejects.toThrow("aborted");
  await reaches(server, { requests: 7, responses: 4, open: 3 });
  release();
  for (const response of await Promise.all(waiting)) await response.text();
  await expect(broken.text()).rejects.toThrow("terminated");
  await reaches(server, { requests: 7, responses: 7, open: 0 });
  const page = await server.metrics.text();
  expect(page).toContain('llava_http_responses_total{route="/slow",method="GET",status="499"} 1');
  expect(page).toContain('llava_http_responses_total{route="/slow",method="GET",status="200"} 2');
  expect(page).toContain('llava_http_responses_broken_total{route="/broken",method="GET"} 1');
});

test("metrics: nothing from a request becomes a label", async () => {
  const server = await startServer();
  for (const path of ["/secret-name", "/quick?secret-name", "/v1/models/secret-name"])
    await (await fetch(server.url + path)).text();
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  socket.write("SECRET-NAME / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
  await new Promise((resolve) => socket.once("close", resolve).resume());
  const page = await server.metrics.text();
  expect(page.toLowerCase()).not.toContain("secret-name");
  expect(page).toContain('llava_http_requests_total{route="none",method="any"} 2');
});

test("metrics: two servers in one process count separately, in Prometheus' text format", async () => {
  const [one, other] = [await startServer(), await startServer()];
  await (await fetch(`${one.url}/quick`)).text();
  expect(await other.metrics.text()).not.toContain("/quick");
  const response = await fetch(`${one.url}/metrics`);
  expect(response.headers.get("content-type")).toContain("text/plain; version=0.0.4");
  const page = await response.text();
  for (const line of page.split("\n").filter((line) => line !== ""))
    expect(line).toMatch(/^(# (HELP|TYPE) [\w:]+ .+|[\w:]+(\{(\w+="[^"]*",?)+\})? (NaN|[-+\d.e]+))$/);
  expect(page).toContain('llava_event_loop_delay_seconds{quantile="0.99"}');
  expect(page).toMatch(/^process_resident_memory_bytes \d{7,}$/m);
});

test("metrics: a gauge shows the values at the time of the scrape only", async () => {
  const metrics = createMetrics();
  const workers = new Map([
    ["a", 1],
    ["b", 2],
  ]);
  const read = () => [...workers].map(([worker, value]) => ({ value, labels: { worker } }));
  metrics.gauge("load", "Load.", read, ["worker"]);
  expect(await metrics.text()).toContain('load{worker="b"} 2');
  workers.delete("b");
  const page = await metrics.text();
  expect(page).toContain('load{worker="a"} 1');
  expect(page).not.toContain('worker="b"');
});
