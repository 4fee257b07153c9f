/**
 * Tests F01, F02, F15, F16 and F22 with real processes. All tests share a controller and two workers, because starting them
 * takes longer than any of the tests.
 */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Program } from "../support/child-program.ts";
import { closeAll, post, until } from "../support/stand-in.ts";
import {
  ask,
  controllerHealth,
  MODEL,
  queueLength,
  startControllerProcess,
  startWorkerProcess,
  tinyFolder,
  type ReceivedAnswer,
  type TinyFolder,
} from "./fault-fleet.ts";

/** The tokens of an answer: nearly all of the tiny model's context, so that it is under way while something happens. */
const LENGTH = 900;
/** Four heartbeats. */
const EXPIRY_S = 2;

let folder: TinyFolder;
let controller: Program;
let workers: [Program, Program];
let undisturbed: ReceivedAnswer;

beforeAll(async () => {
  folder = await tinyFolder();
  controller = await startControllerProcess("--heartbeat-expiry", String(EXPIRY_S));
  workers = await Promise.all([
    startWorkerProcess(folder, controller.address),
    startWorkerProcess(folder, controller.address),
  ]);
  await numWorkers(2);
  undisturbed = await ask(workers[0].address, "Go.", LENGTH);
  expect(undisturbed).toMatchObject({ ending: "length" });
});
afterAll(async () => {
  await closeAll();
  await folder[Symbol.asyncDispose]();
});

async function numWorkers(number: number): Promise<void> {
  await until(async () => (await controllerHealth(controller.address)).workers === number);
}

/** Begins answers; resolves when all have sent some text. */
async function begin(...urls: readonly string[]): Promise<readonly Promise<ReceivedAnswer>[]> {
  const begun: Promise<unknown>[] = [];
  const answers = urls.map((url) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const answer = ask(url, "Go.", LENGTH, () => resolve());
    begun.push(Promise.race([promise, answer]));
    return answer;
  });
  await Promise.all(begun);
  return answers;
}

it("a controller that is stopped and goes on ends its answers whole, and direct ones are not affected", async () => {
  const relayed = await begin(controller.address);
  controller.child.kill("SIGSTOP");
  expect(await ask(workers[0].address, "Go.", LENGTH)).toEqual(undisturbed);
  controller.child.kill("SIGCONT");
  expect(await Promise.all(relayed)).toEqual([undisturbed]);
  await numWorkers(2);
});

it("a controller that is killed under load breaks no direct answer, ends no relayed one cleanly, and knows all workers a heartbeat after its restart", async () => {
  const urls = [...workers, ...workers].map(({ address }) => address);
  const begun = await begin(...urls, ...Array<string>(6).fill(controller.address));
  const direct = begun.slice(0, urls.length);
  const relayed = begun.slice(urls.length);
  controller.child.kill("SIGKILL");
  await controller.ended;
  const ends = await Promise.all(relayed);
  // On a fast machine the first answers may have been complete.
  for (const end of ends.filter(({ ending }) => ending !== "length")) {
    expect(end.ending).toBe("worker_lost");
    expect(undisturbed.text.startsWith(end.text)).toBe(true);
  }
  for (const end of ends.filter(({ ending }) => ending === "length")) expect(end).toEqual(undisturbed);
  expect(ends.filter(({ ending }) => ending === "worker_lost")).not.toEqual([]);
  expect(await Promise.all(direct)).toEqual(urls.map(() => undisturbed));
  for (const { address } of workers) await until(async () => (await queueLength(address)) === 0);

  const { port } = new URL(controller.address);
  controller = await startControllerProcess("--heartbeat-expiry", String(EXPIRY_S), "--port", port);
  const restartedMs = performance.now();
  await numWorkers(2);
  // A heartbeat is 0.5 s here; the other time is for a busy machine.
  expect(performance.now() - restartedMs).toBeLessThan(500 + 5_000);
  expect(await ask(controller.address, "Go.", LENGTH)).toEqual(undisturbed);
});

it("a worker that is stopped for longer than its heartbeats may be missing gets nothing, and is there again when it goes on", async () => {
  workers[0].child.kill("SIGSTOP");
  await numWorkers(1);
  expect(await ask(controller.address, "Go.", LENGTH)).toEqual(undisturbed);
  workers[0].child.kill("SIGCONT");
  await numWorkers(2);
  expect(await ask(controller.address, "Go.", LENGTH)).toEqual(undisturbed);
});

it("a new process at the address of a killed one is the only one there, whatever the old one still reports", async () => {
  const [old] = workers;
  old.child.kill("SIGKILL");
  await old.ended;
  workers[0] = await startWorkerProcess(folder, controller.address, "--port", new URL(old.address).port);
  await numWorkers(2);
  const zombie = { worker_name: old.address, queue_length: 50, incarnation: "killed", seq: 1_000_000 };
  expect((await post(`${controller.address}/receive_heart_beat`, zombie)).text).toBe('{"exist":false}');
  await numWorkers(2);
  expect(await Promise.all(await begin(controller.address, controller.address))).toEqual([
    undisturbed,
    undisturbed,
  ]);
});

it("a worker that gets SIGTERM, while another one is there, loses no request", async () => {
  const over = new AbortController();
  const endings: string[] = [];
  const clients = [1, 2, 3].map(async (client) => {
    for (let turn = 0; !over.signal.aborted; turn += 1) {
      const answer = ask(controller.address, `Question ${client} ${turn}.`, 20);
      endings.push(await answer.then(({ ending }) => ending, String));
    }
  });
  try {
    await sleep(200);
    const { child } = workers[0];
    child.kill("SIGTERM");
    await once(child, "exit");
    expect(child.exitCode).toBe(0);
    await numWorkers(1);
  } finally {
    over.abort();
    await Promise.all(clients);
  }
  expect(endings.length).toBeGreaterThan(3);
  expect(new Set(endings)).toEqual(new Set(["length"]));
});

it("many more requests than there is room are refused with a time to come again, the others answered, and then there is room", async () => {
  // The worker that is left runs five and queues twenty.
  const responses = await Promise.all(
    Array.from({ length: 60 }, async (_, index) => await postChatWhole(`Question ${index}.`)),
  );
  const statuses = responses.map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(25);
  for (const { status, retryAfter, body } of responses) {
    if (status === 200) expect(body).toContain('"finish_reason":"length"');
    else expect(Number(retryAfter)).toBeGreaterThanOrEqual(1);
  }
  expect(await ask(controller.address, "Go.", LENGTH)).toEqual(undisturbed);
  expect((await post(`${controller.address}/list_models`)).text).toBe(`{"models":["${MODEL}"]}`);
  expect(await queueLength(workers[1].address)).toBe(0);
});

async function postChatWhole(
  question: string,
): Promise<{ readonly status: number; readonly retryAfter: string | null; readonly body: string }> {
  const messages = [{ role: "user", content: question }];
  const body = { model: MODEL, messages, temperature: 0, max_tokens: 150 };
  const reply = await post(`${controller.address}/v1/chat/completions`, body);
  return { status: reply.status, retryAfter: reply.headers.get("retry-after"), body: reply.text };
}
