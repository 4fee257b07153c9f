/** `llava serve` as real processes: everything starts, survives what it should and ends together. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { readBody, readChatStream, type ChatEvent } from "@llava/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Llava, llava } from "./llava.ts";
import { makeTinyFolder, TINY_NAME } from "./tiny-folder.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

let tiny: Awaited<ReturnType<typeof makeTinyFolder>>;
const started: Llava[] = [];
beforeAll(async () => {
  tiny = await makeTinyFolder();
  // `npm start` builds the page first; here it is not built.
  if (!existsSync(new URL("../../web/dist/index.html", import.meta.url)))
    await promisify(execFile)("npm", ["run", "build"], { cwd: ROOT, shell: process.platform === "win32" });
});
afterEach(async () => {
  for (const { child, ended } of started.splice(0)) {
    child.kill("SIGTERM");
    await ended;
  }
});
afterAll(() => tiny.remove());

interface Service {
  readonly llava: Llava;
  readonly page: string;
  readonly controller: string;
  readonly worker: string;
}

async function serve(...flags: string[]): Promise<Service> {
  const ports = ["--port", "0", "--controller-port", "0", "--worker-port", "0"];
  const model = ["--model-path", tiny.folder, "--threads", "1", "--heartbeat-interval", "0.2"];
  const llava = new Llava("serve", ...ports, ...model, "--verbose", ...flags);
  started.push(llava);
  await vi.waitFor(() => expect(llava.out).toContain("Ctrl-C"));
  const address = (label: RegExp): string => label.exec(llava.out)?.[1] ?? "";
  return {
    llava,
    page: address(/open (http\S+)/),
    controller: address(/Controller +(http\S+)/),
    worker: address(/Worker +(http\S+)/),
  };
}

/** The process id with which a program signs its log lines; the latest one. */
function pidOf({ llava }: Service, name: string): number {
  const lines = [...llava.err.matchAll(new RegExp(`\\[${name}[^\\]]*\\] .*"pid":(\\d+)`, "g"))];
  return Number(lines.at(-1)?.[1]);
}

function ask(url: string, body: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: TINY_NAME,
      messages: [{ role: "user", content: "Go on." }],
      temperature: 0,
      ...body,
    }),
    signal: signal ?? null,
  });
}

async function models(url: string): Promise<string> {
  return await (await fetch(`${url}/v1/models`)).text();
}

/** What the worker says of itself to everybody; all else is for its controller. */
async function health(url: string): Promise<unknown> {
  const status: unknown = await (await fetch(`${url}/health`)).json();
  return status;
}

describe("llava serve", () => {
  test("prints one block when all is ready, answers through the page's address, and Ctrl-C ends everything", async () => {
    const service = await serve();
    expect(service.llava.out.trim().split("\n")).toHaveLength(8);
    expect(await models(service.page)).toContain(TINY_NAME);
    const response = await ask(service.page, { max_tokens: 5 });
    expect(await response.json()).toMatchObject({ usage: { completion_tokens: 5 } });
    // Worker and controller know each other by a token; no other program belongs to their cluster.
    expect((await ask(service.worker, { max_tokens: 5 })).status).toBe(401);
    const unsigned = await fetch(`${service.controller}/register_worker`, { method: "POST" });
    expect(unsigned.status).toBe(401);
    service.llava.child.kill("SIGINT");
    expect((await service.llava.ended).code).toBe(0);
    for (const url of [service.page, service.controller, service.worker])
      await expect(fetch(`${url}/health`)).rejects.toThrow("fetch failed");
  });

  test("hands on the flags of its programs, which take them all", async () => {
    const log = join(tiny.folder, "..", "asked");
    const flags =
      "--model-name renamed --log-prompts --log-level info --kv-cache-mib 64 --image-processes 1 " +
      "--allow-image-urls --allow-http-image-urls --allowed-image-domain *.example.com " +
      "--allowed-image-port 8443 --denied-image-network 203.0.113.0/24 --image-url-redirects 1 " +
      "--dispatch-method image_affinity --heartbeat-expiry 20 --shorten-addresses";
    const service = await serve(...flags.split(" "), "--conversation-log", log);
    expect(service.llava.out).toContain("Model       renamed on cpu");
    expect(await models(service.page)).toContain('"renamed"');
    // Fetching is on, and this host is not among those that it may fetch from.
    const content = [{ type: "image_url", image_url: { url: "https://other.test/a.png" } }];
    const refused = await ask(service.page, { model: "renamed", messages: [{ role: "user", content }] });
    expect(await refused.json()).toMatchObject({ error: { code: "image_url_blocked" } });
    const answer = await ask(service.page, { model: "renamed", max_tokens: 2, stream: true });
    expect(await answer.text()).toContain("[DONE]");
    await vi.waitFor(() => expect(service.llava.err).toContain("Go on."));
    // Where the system shows what a process was started with.
    if (process.platform === "linux") {
      const environment = readFileSync(`/proc/${pidOf(service, "worker")}/environ`, "utf8");
      expect(environment).toContain("UV_THREADPOOL_SIZE=8\0");
    }
    service.llava.child.kill("SIGTERM");
    await service.llava.ended;
    expect(existsSync(log)).toBe(true);
  });

  test("a client that leaves in the middle frees the worker, through all three hops", async () => {
    const { page, worker } = await serve();
    const client = new AbortController();
    const response = await ask(page, { stream: true, max_tokens: 900 }, client.signal);
    await response.body?.getReader().read();
    expect(await health(worker)).toMatchObject({ running: 1 });
    client.abort();
    await vi.waitFor(async () => expect(await health(worker)).toMatchObject({ running: 0 }));
  });

  test("a killed worker: its client gets an error, it leaves the list, it is started again and serves", async () => {
    const service = await serve();
    const response = await ask(service.page, { stream: true, max_tokens: 900 });
    let last: ChatEvent | null = null;
    for await (const event of readChatStream(readBody(response.body))) {
      if (last === null) process.kill(pidOf(service, "worker"), "SIGKILL");
      last = event;
    }
    expect(last).toMatchObject({ type: "error", error: { code: "worker_lost" } });
    await vi.waitFor(async () => expect(await models(service.page)).not.toContain(TINY_NAME));
    expect((await ask(service.page, {})).status).toBe(503);
    await vi.waitFor(() => expect(service.llava.err).toContain("is back on"));
    expect(service.llava.err).toContain(
      `The worker of ${TINY_NAME} was ended by SIGKILL; it is started again in 1 s.`,
    );
    await vi.waitFor(async () => expect((await ask(service.page, { max_tokens: 3 })).status).toBe(200));
  });

  test("without its controller it ends with a sentence and exit 1", async () => {
    const service = await serve();
    process.kill(pidOf(service, "controller"), "SIGKILL");
    const { code, err } = await service.llava.ended;
    expect(err).toContain("The controller was ended by SIGKILL, so everything was stopped.");
    expect(code).toBe(1);
    await expect(fetch(`${service.worker}/health`)).rejects.toThrow("fetch failed");
  });

  test("killed itself, it leaves no program behind", async () => {
    const service = await serve();
    service.llava.child.kill("SIGKILL");
    for (const url of [service.page, service.controller, service.worker])
      await vi.waitFor(() => expect(fetch(`${url}/health`)).rejects.toThrow("fetch failed"));
  });

  test("a taken port is reported with the flag that changes it", async () => {
    await using taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    const { code, out, err } = await llava(
      "serve",
      "--worker-port",
      "0",
      "--controller-port",
      "0",
      "--port",
      String(port),
    );
    expect(err).toMatch(
      new RegExp(`^Port ${port} for the page is taken by another program\\. .*--port .*\\n$`),
    );
    expect(out).toBe("");
    expect(code).toBe(1);
  });

  test("a model that cannot be loaded ends it with the worker's own sentence", async () => {
    const ports = ["--port", "0", "--controller-port", "0", "--worker-port", "0"];
    const { code, out, err } = await llava("serve", ...ports, "--model-path", "/no/such/model");
    expect(err).toContain("The worker of model ended with exit code 1 before it could serve.");
    expect(err).toContain("There is no folder /no/such/model.");
    expect(out).toBe("");
    expect(code).toBe(1);
  });
});
