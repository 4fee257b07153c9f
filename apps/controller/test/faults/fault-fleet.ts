/** Starts a controller and workers as real processes with the real engine on a tiny model, and clients that record answers. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readBody, readChatStream } from "@llava/protocol";
import { z } from "zod";
import { writeTinyModel } from "../../../worker/test/support/tiny-model.ts";
import { start, type Program } from "../support/child-program.ts";

export const MODEL = "tiny-llava-v1";

const CONTROLLER = new URL("../../src/main.ts", import.meta.url);
const WORKER = new URL("../../../worker/src/main.ts", import.meta.url);

export interface TinyFolder extends AsyncDisposable {
  readonly path: string;
}

export async function tinyFolder(): Promise<TinyFolder> {
  const root = await mkdtemp(join(tmpdir(), "llava-faults-"));
  const path = join(root, MODEL);
  await writeTinyModel(path);
  return { path, [Symbol.asyncDispose]: () => rm(root, { recursive: true }) };
}

export async function startControllerProcess(...flags: readonly string[]): Promise<Program> {
  return await start(CONTROLLER, ...(flags.includes("--port") ? [] : ["--port", "0"]), ...flags);
}

export async function startWorkerProcess(
  { path }: TinyFolder,
  controllerUrl: string,
  ...flags: readonly string[]
): Promise<Program> {
  const report = ["--controller-address", controllerUrl, "--heartbeat-interval", "0.5"];
  const port = flags.includes("--port") ? [] : ["--port", "0"];
  return await start(WORKER, "--model-path", path, "--threads", "1", ...report, ...port, ...flags);
}

export interface ReceivedAnswer {
  readonly text: string;
  /** How it ended: its finish reason, the code of its error event, or `HTTP` and a status. */
  readonly ending: string;
}

/** A greedy answer to `question`, which depends on the question and the length only. */
export async function ask(
  url: string,
  question: string,
  numTokens: number,
  onText: (text: string) => void = () => {},
): Promise<ReceivedAnswer> {
  const messages = [{ role: "user", content: question }];
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: MODEL, messages, stream: true, temperature: 0, max_tokens: numTokens }),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    return { text: "", ending: `HTTP ${response.status}` };
  }
  let text = "";
  let ending = "";
  for await (const event of readChatStream(readBody(response.body))) {
    if (event.type === "text-delta") onText((text += event.text));
    if (event.type === "finished") ending = event.reason;
    if (event.type === "error") ending = event.error.code;
  }
  return { text, ending };
}

const health = z.object({ workers: z.number(), streams: z.number() });

export async function controllerHealth(url: string): Promise<z.infer<typeof health>> {
  return health.parse(await (await fetch(`${url}/health`)).json());
}

const status = z.object({ queue_length: z.number() });

export async function queueLength(workerUrl: string): Promise<number> {
  const response = await fetch(`${workerUrl}/worker_get_status`, { method: "POST" });
  return status.parse(await response.json()).queue_length;
}
