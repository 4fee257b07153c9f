import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { readBody, readChatStream, type ChatEvent } from "@llava/protocol";
import { afterEach, expect, it } from "vitest";
import { start } from "./support/child-program.ts";
import { closeAll, modelsOf, post, register, startController, until } from "./support/stand-in.ts";

afterEach(closeAll);

const MAIN = new URL("../src/main.ts", import.meta.url);
const WORKER = new URL("./support/stand-in-process.ts", import.meta.url);

/** The words of a streamed chat answer as they come. */
async function* ask(url: string): AsyncGenerator<ChatEvent> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", messages: [], stream: true }),
  });
  yield* readChatStream(readBody(response.body));
}

it("the controller sends an error event and drops the worker when its process is killed midway, and takes a new one", async () => {
  const { url } = await startController();
  const worker = await start(WORKER);
  await register(url, worker.address, ["m"]);
  const events: ChatEvent[] = [];
  for await (const event of ask(url)) {
    events.push(event);
    if (events.length === 2) worker.child.kill("SIGKILL");
  }
  expect(events.at(-1)).toMatchObject({ type: "error", error: { code: "worker_lost" } });
  expect(events.filter(({ type }) => type !== "text-delta")).toHaveLength(1);
  expect(await modelsOf(url)).toEqual({ models: [] });

  const next = await start(WORKER);
  await register(url, next.address, ["m"]);
  for await (const event of ask(url)) {
    expect(event.type).toBe("text-delta");
    break;
  }
});

it("the controller knows no worker after a restart, answers so to a heartbeat, and the worker registers again", async () => {
  const first = await start(MAIN, "--port", "0");
  const { port } = new URL(first.address);
  await register(first.address, "http://127.0.0.1:1", ["m"]);
  const beat = async (): Promise<unknown> =>
    JSON.parse(
      (
        await post(`${first.address}/receive_heart_beat`, {
          worker_name: "http://127.0.0.1:1",
          queue_length: 0,
        })
      ).text,
    );
  expect(await beat()).toEqual({ exist: true });
  first.child.kill("SIGKILL");
  await first.ended;
  const second = await start(MAIN, "--port", port);
  expect(second.address).toBe(first.address);
  expect(await beat()).toEqual({ exist: false });
  await register(second.address, "http://127.0.0.1:1", ["m"]);
  expect(await beat()).toEqual({ exist: true });
  expect(await modelsOf(second.address)).toEqual({ models: ["m"] });
});

it.each(["SIGTERM", "SIGINT"] as const)(
  "the controller ends in order on %s, and logs neither prompts nor images",
  async (signal) => {
    const program = await start(MAIN, "--port", "0", "--drain-timeout", "1");
    const secret = "violet-elephant";
    const body = { model: "m", messages: [{ role: "user", content: secret }], prompt: secret };
    for (const path of ["/v1/chat/completions", "/worker_generate_stream", "/register_worker"]) {
      await post(program.address + path, body);
    }
    program.child.kill(signal);
    expect(await program.ended).toEqual([0, null]);
    const lines = program
      .output()
      .trim()
      .split("\n")
      .map((line): unknown => JSON.parse(line));
    expect(lines.filter((line) => JSON.stringify(line).includes('"ready"'))).toEqual([
      expect.objectContaining({ msg: "ready", address: program.address }),
    ]);
    expect(program.output()).toContain("no_worker");
    expect(program.output()).not.toContain(secret);
  },
);

it("lets a stream end that outlives SIGTERM, and takes nothing new", async () => {
  const program = await start(MAIN, "--port", "0", "--drain-timeout", "1");
  const worker = await start(WORKER);
  await register(program.address, worker.address, ["m"]);
  const events: ChatEvent[] = [];
  for await (const event of ask(program.address)) {
    events.push(event);
    if (events.length === 1) program.child.kill("SIGTERM");
  }
  expect(events.at(-1)).toMatchObject({ type: "error", error: { code: "shutting_down" } });
  expect(await program.ended).toEqual([0, null]);
});

it("ends when the program that started it is gone", async () => {
  const program = await start(MAIN, "--port", "0");
  program.child.disconnect();
  expect(await program.ended).toEqual([0, null]);
});

it("the controller names a port that is taken", async () => {
  const program = await start(MAIN, "--port", "0");
  const again = start(MAIN, "--port", new URL(program.address).port);
  await expect(again).rejects.toThrow("The controller's port is taken");
});

it("the controller refuses a wrong flag with a sentence and an exit code", async () => {
  const child = fork(fileURLToPath(MAIN), ["--dispatch-method", "random"], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const [code] = await once(child, "close");
  expect(code).toBe(1);
});

it("the controller drops a worker that was killed between requests, by its missing heartbeats", async () => {
  const program = await start(MAIN, "--port", "0", "--heartbeat-expiry", "0.2");
  const worker = await start(WORKER);
  await register(program.address, worker.address, ["m"]);
  worker.child.kill("SIGKILL");
  await until(async () => JSON.stringify(await modelsOf(program.address)) === '{"models":[]}');
});
