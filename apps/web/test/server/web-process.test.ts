import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("../../src/server/main.ts", import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "llava-web-"));
  await writeFile(join(folder, "index.html"), "<title>LLaVA</title>");
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

function start(flags: readonly string[], stdio: "ipc" | "ignore" = "ignore"): ChildProcess {
  const all = ["--page-folder", folder, ...flags];
  return spawn(process.execPath, [MAIN, ...all], { stdio: ["ignore", "pipe", "pipe", stdio] });
}

/** Output of a process before it ends, and its exit code. */
async function ending(child: ChildProcess): Promise<{ code: unknown; text: string }> {
  let text = "";
  child.stderr?.on("data", (bytes) => (text += String(bytes)));
  child.stdout?.on("data", (bytes) => (text += String(bytes)));
  const [code]: unknown[] = await once(child, "close");
  return { code, text };
}

test("reports its address to its parent, serves, and ends cleanly on SIGTERM", async () => {
  const child = start(["--port", "0", "--controller", "http://127.0.0.1:9/"], "ipc");
  const end = ending(child);
  const [message]: unknown[] = await once(child, "message");
  expect(message).toEqual({ type: "ready", address: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) });
  const { address } = message as { address: string };
  expect(await (await fetch(`${address}/health`)).json()).toEqual({ status: "ok" });
  const models = await fetch(`${address}/v1/models`);
  expect(models.status).toBe(503);
  expect(await models.text()).toContain("http://127.0.0.1:9 does not answer");
  child.kill("SIGTERM");
  expect((await end).code).toBe(0);
});

test("ends by itself when its parent is gone", async () => {
  const child = start(["--port", "0"], "ipc");
  await once(child, "message");
  const exit = once(child, "exit");
  child.disconnect();
  expect((await exit)[0]).toBe(0);
});

test.each([
  [["--port", "70000"], "Give a whole number from 0 to 65535."],
  [["--controller-url", "10000"], "Give an address such as http://10.0.0.5:10000."],
  [["--page-folder", tmpdir()], 'Run "npm run build" first.'],
])("%j is refused in a sentence", async (flags, sentence) => {
  const { code, text } = await ending(start(flags));
  expect(code).toBe(1);
  expect(text).toContain(sentence);
});
