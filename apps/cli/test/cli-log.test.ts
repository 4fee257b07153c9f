/** Tests servers whose log cannot be written: each serves on, reports it where it can, and ends on a signal. */
import { fork, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { AppName } from "@llava/server/command";
import { programFile } from "../src/commands/serve/app-programs.ts";
import { Llava } from "./llava.ts";
import { makeTinyFolder, TINY_NAME } from "./tiny-folder.ts";

/** Linux's device without room. */
const FULL = "/dev/full";

let tiny: Awaited<ReturnType<typeof makeTinyFolder>>;
let page = "";
const started: ChildProcess[] = [];
beforeAll(async () => {
  tiny = await makeTinyFolder();
  page = await mkdtemp(join(tmpdir(), "llava-page-"));
  await writeFile(join(page, "index.html"), "<title>LLaVA</title>");
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});
afterAll(async () => {
  await tiny.remove();
  await rm(page, { recursive: true });
});

function flagsOf(program: AppName): readonly string[] {
  const common = ["--port", "0", "--log-level", "trace"];
  if (program === "controller") return [...common, "--drain-timeout", "0.1"];
  if (program === "worker")
    return [...common, "--model-path", tiny.folder, "--threads", "1", "--no-register"];
  return [...common, "--page-folder", page];
}

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
  readonly exit: Promise<number | null>;
}

/** @param outputs what stdout and stderr are */
async function start(
  program: AppName,
  outputs: readonly [number | "pipe", number | "pipe"],
): Promise<Server> {
  const child = fork(programFile(program), [...flagsOf(program)], { stdio: ["ignore", ...outputs, "ipc"] });
  started.push(child);
  const exit = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const url = await new Promise<string>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`It ended with ${code} before it could serve.`)));
    child.on("message", (message) => {
      if (typeof message === "object" && "address" in message) resolve(String(message.address));
    });
  });
  return { child, url, exit };
}

/** A line of the log: of an answer, or of the reason why there is none. */
async function ask(url: string, model: string): Promise<number> {
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Go." }], max_tokens: 1 });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", body, headers });
  await response.text();
  return response.status;
}

async function servesOn({ url }: Server): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    expect((await fetch(`${url}/health`)).status).toBe(200);
    await ask(url, TINY_NAME);
  }
}

async function numDropped({ url }: Server): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return Number(/^llava_log_dropped_total (\d+)$/m.exec(metrics)?.[1]);
}

async function ends({ child, exit }: Server): Promise<void> {
  child.kill("SIGTERM");
  expect(await exit).toBe(0);
}

describe.skipIf(process.platform !== "linux")("a log on a full disk", () => {
  test.each(["controller", "worker"] as const)(
    "the %s serves, counts lost lines and reports them once",
    async (program) => {
      const full = openSync(FULL, "w");
      const server = await start(program, [full, "pipe"]);
      const err = server.child.stderr === null ? "" : text(server.child.stderr);
      await servesOn(server);
      expect(await numDropped(server)).toBeGreaterThan(0);
      await ends(server);
      closeSync(full);
      expect((await err).match(/The log cannot be written \(ENOSPC\)/g)).toHaveLength(1);
    },
  );

  test("the page's server, and anybody both of whose outputs are full", async () => {
    const full = openSync(FULL, "w");
    for (const program of ["web", "controller"] as const) {
      const server = await start(program, [full, full]);
      await servesOn(server);
      await ends(server);
    }
    closeSync(full);
  });
});

describe("a log that is not read", () => {
  test.each(["controller", "worker", "web"] as const)(
    "the %s survives a reader that leaves",
    async (program) => {
      const server = await start(program, ["pipe", "pipe"]);
      await servesOn(server);
      server.child.stdout?.destroy();
      server.child.stderr?.destroy();
      await servesOn(server);
      if (program !== "web")
        await vi.waitFor(async () => expect(await numDropped(server)).toBeGreaterThan(0));
      await ends(server);
    },
  );

  test("a reader that stops reading holds nothing up", async () => {
    const server = await start("controller", ["pipe", "pipe"]);
    server.child.stdout?.pause();
    // More than pipes and we hold together: each line has a model's name.
    const model = "m".repeat(250);
    await vi.waitFor(
      async () => {
        await Promise.all(Array.from({ length: 200 }, async () => await ask(server.url, model)));
        expect(await numDropped(server)).toBeGreaterThan(0);
      },
      { interval: 1 },
    );
    await servesOn(server);
    await ends(server);
  });
});

test("all of them under `llava serve`, whose own reader leaves", async () => {
  const ports = ["--port", "0", "--controller-port", "0", "--worker-port", "0"];
  const model = ["--model-path", tiny.folder, "--threads", "1", "--heartbeat-interval", "0.2"];
  const serve = new Llava("serve", ...ports, ...model, "--page-folder", page, "--verbose");
  started.push(serve.child);
  await vi.waitFor(() => expect(serve.out).toContain("Ctrl-C"));
  const url = /open (http\S+)/.exec(serve.out)?.[1] ?? "";
  const worker = Number(/\[worker[^\]]*\] .*"pid":(\d+)/.exec(serve.err)?.[1]);
  serve.child.stdout?.destroy();
  serve.child.stderr?.destroy();
  // Its death and return give many lines.
  process.kill(worker, "SIGKILL");
  const first = /Worker +(http\S+)/.exec(serve.out)?.[1] ?? "";
  await vi.waitFor(async () => await expect(fetch(`${first}/health`)).rejects.toThrow("fetch failed"));
  await vi.waitFor(async () => expect(await ask(url, TINY_NAME)).toBe(200));
  serve.child.kill("SIGTERM");
  expect((await serve.ended).code).toBe(0);
});

test("nothing is lost at the end", async () => {
  const server = await start("controller", ["pipe", "pipe"]);
  const out = server.child.stdout === null ? "" : text(server.child.stdout);
  await servesOn(server);
  await ends(server);
  const lines = (await out).trim().split("\n");
  const messages = lines.map((line): unknown => {
    const parsed: unknown = JSON.parse(line);
    return typeof parsed === "object" && parsed !== null && "msg" in parsed ? parsed.msg : null;
  });
  expect(messages).toContain("ready");
  expect(messages.at(-1)).toBe("stopping");
});
