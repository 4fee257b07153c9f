/** A worker process whose model does not come: its configuration is a pipe, into which the test writes when it likes. */
import { execFile, fork, type ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MODEL_NAME } from "./support/worker-server.ts";
import { writeTinyModel } from "./support/tiny-model.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

let root: string;
let config: string;
let text: string;
let child: ChildProcess | null = null;
let controller: Server;
const requested: (string | undefined)[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "llava-loading-"));
  await writeTinyModel(join(root, MODEL_NAME));
  config = join(root, MODEL_NAME, "config.json");
  text = await readFile(config, "utf8");
  await rm(config);
  await promisify(execFile)("mkfifo", [config]);
  requested.length = 0;
  controller = createServer((request, response) => {
    requested.push(request.url);
    response.setHeader("content-type", "application/json").end('{"exist":true}');
  });
  await new Promise<void>((resolve) => controller.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  child?.kill("SIGKILL");
  controller.closeAllConnections();
  controller.close();
  await rm(root, { recursive: true, force: true });
});

test.skipIf(process.platform === "win32")(
  "it listens at once and answers that it loads; only with its model it registers and serves",
  async () => {
    const url = `http://127.0.0.1:${(controller.address() as AddressInfo).port}`;
    const flags = [
      "--port",
      "0",
      "--threads",
      "1",
      "--model-path",
      join(root, MODEL_NAME),
      "--controller",
      url,
    ];
    child = fork(MAIN, flags, { stdio: ["ignore", "pipe", "inherit", "ipc"] });
    let out = "";
    child.stdout?.setEncoding("utf8").on("data", (part: string) => (out += part));
    await vi.waitFor(() => expect(out).toContain('"listening'));
    const address = /"address":"(http[^"]+)"/.exec(out)?.[1] ?? "";
    const health = await fetch(`${address}/health`);
    expect(health.status).toBe(503);
    expect(await health.json()).toMatchObject({ status: "loading", error: { code: "loading" } });
    expect((await fetch(`${address}/v1/models`)).status).toBe(503);
    expect(requested).toEqual([]);
    await writeFile(config, text);
    await vi.waitFor(async () => expect((await fetch(`${address}/ready`)).status).toBe(200));
    await vi.waitFor(() => expect(requested).toContain("/register_worker"));
    expect((await fetch(`${address}/v1/models`)).status).toBe(200);
  },
);
