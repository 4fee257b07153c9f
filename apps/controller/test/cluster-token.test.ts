/** Tests a controller and workers that share a cluster token, as real processes: what passes between them, and what is refused. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { signedHeaders } from "@llava/server";
import { readBody, readChatStream } from "@llava/protocol";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { writeTinyModel } from "../../worker/test/support/tiny-model.ts";
import { start, type Program } from "./support/child-program.ts";
import { closeAll, until } from "./support/stand-in.ts";

afterEach(closeAll);

const CONTROLLER = new URL("../src/main.ts", import.meta.url);
const WORKER = new URL("../../worker/src/main.ts", import.meta.url);
const NAME = "tiny-llava-v1";
const TOKEN = "a token that both sides have";
/** So long that the kill comes before the end; the context holds 1024 tokens with the prompt. */
const LENGTH = 600;

let folder = "";
let tokenFile = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "llava-cluster-"));
  tokenFile = join(folder, "cluster.txt");
  await writeFile(tokenFile, `${TOKEN}\n`, { mode: 0o600 });
  await writeTinyModel(join(folder, NAME));
});
afterAll(() => rm(folder, { recursive: true }));

const startController = (): Promise<Program> =>
  start(CONTROLLER, "--port", "0", "--cluster-token-file", tokenFile);

const startWorker = (controller: Program): Promise<Program> =>
  start(
    WORKER,
    "--model-path",
    join(folder, NAME),
    "--port",
    "0",
    "--threads",
    "1",
    "--cluster-token-file",
    tokenFile,
    "--controller",
    controller.address,
    "--heartbeat-interval",
    "0.2",
  );

const rows = z.object({ data: z.array(z.object({ address: z.string(), in_flight: z.number() })) });

/** The workers that the controller knows. */
async function workersOf({ address }: Program): Promise<z.infer<typeof rows>["data"]> {
  return rows.parse(await (await fetch(`${address}/workers`)).json()).data;
}

interface ReceivedAnswer {
  readonly text: string;
  readonly ending: unknown;
  readonly numMoves: number;
}

/** Reads a streamed answer to its end. @param onText called with each of its texts */
async function ask(
  { address }: Program,
  sampling: object,
  onText: (numTexts: number) => Promise<void> = async () => undefined,
): Promise<ReceivedAnswer> {
  const response = await fetch(`${address}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: NAME,
      messages: [{ role: "user", content: "Go on." }],
      stream: true,
      max_tokens: LENGTH,
      ...sampling,
    }),
  });
  let raw = "";
  const noted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const bytes of readBody(response.body)) {
      raw += Buffer.from(bytes).toString("latin1");
      yield bytes;
    }
  };
  const texts: string[] = [];
  let ending: unknown = null;
  for await (const event of readChatStream(noted())) {
    if (event.type === "text-delta") await onText(texts.push(event.text));
    else ending = event.type === "finished" ? event.reason : event.error.code;
  }
  return { text: texts.join(""), ending, numMoves: raw.split("\n: migrated\n\n").length - 1 };
}

/** The answer of the first seed that is so long that its worker is still writing it when it is killed. */
async function longAnswer(
  controller: Program,
  sampling: object,
): Promise<{ readonly seeded: object; readonly undisturbed: ReceivedAnswer }> {
  for (let seed = 1; seed <= 30; seed += 1) {
    const seeded = { ...sampling, seed };
    const undisturbed = await ask(controller, seeded);
    if (undisturbed.text.length > 300) return { seeded, undisturbed };
  }
  throw new Error("The tiny model says little, whatever the seed.");
}

it.each([
  ["greedy", { temperature: 0 }],
  ["seeded", { temperature: 0.5 }],
])(
  "a %s answer goes on at another worker when its own is killed, as it would have",
  async (_name, sampling) => {
    const controller = await startController();
    const workers = await Promise.all([startWorker(controller), startWorker(controller)]);
    await until(async () => (await workersOf(controller)).length === 2);
    const { seeded, undisturbed } = await longAnswer(controller, sampling);
    expect(undisturbed.numMoves).toBe(0);
    const disturbed = await ask(controller, seeded, async (numTexts) => {
      if (numTexts !== 5) return;
      // Both are stopped until it is known which one to kill, or a fast one would have finished before.
      for (const { child } of workers) child.kill("SIGSTOP");
      const busy = (await workersOf(controller)).find((worker) => worker.in_flight === 1);
      for (const { child, address } of workers) child.kill(address === busy?.address ? "SIGKILL" : "SIGCONT");
    });
    expect(disturbed).toEqual({ ...undisturbed, numMoves: 1 });
    expect(await workersOf(controller)).toHaveLength(1);
  },
);

it("a worker refuses requests without the cluster's token, and it cannot be registered as another process", async () => {
  const controller = await startController();
  const worker = await startWorker(controller);
  await until(async () => (await workersOf(controller)).length === 1);
  for (const path of ["/v1/chat/completions", "/worker_generate_stream", "/cluster_challenge"]) {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
    expect((await fetch(worker.address + path, init)).status).toBe(401);
  }
  const registerAs = async (incarnation: string | undefined): Promise<number> => {
    const body = JSON.stringify({
      worker_name: worker.address,
      check_heart_beat: true,
      worker_status: { model_names: [NAME], speed: 1, queue_length: 0, incarnation },
    });
    const signature = signedHeaders(TOKEN, "POST", "/register_worker", body);
    const headers = { "content-type": "application/json", ...signature };
    return (await fetch(`${controller.address}/register_worker`, { method: "POST", headers, body })).status;
  };
  // The incarnation that the worker itself sent, as its challenge and its status have it.
  const nonce = JSON.stringify({ nonce: "0".repeat(32) });
  const answer = await fetch(`${worker.address}/cluster_challenge`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...signedHeaders(TOKEN, "POST", "/cluster_challenge", nonce),
    },
    body: nonce,
  });
  const { address, incarnation } = z
    .object({ address: z.string(), incarnation: z.string() })
    .parse(await answer.json());
  expect(address).toBe(worker.address);
  expect(await registerAs("an-earlier-process")).toBe(403);
  expect(await registerAs(incarnation)).toBe(200);
});
