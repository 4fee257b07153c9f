/** Calls LLaVA's endpoints as its clients do, and checks what they answer. */
import { setTimeout as sleep } from "node:timers/promises";
import { readBody, readWireChunks } from "@llava/protocol";
import { MODEL } from "./interop-programs.ts";

const PROMPT = "A chat. USER: What is the color of the sky? ASSISTANT:";
const TIMEOUT_MS = 30_000;

export async function call(url: string, path: string, body?: unknown): Promise<unknown> {
  const content = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    ...content,
  });
  if (!response.ok)
    throw new Error(`${path} answered HTTP ${response.status}: ${(await response.text()).slice(0, 200)}`);
  return response.json();
}

/** The text of an answer's last frame behind the prompt. @throws when a frame is not as LLaVA's are */
export async function generate(url: string): Promise<string> {
  const body = { model: MODEL, prompt: PROMPT, temperature: 0, max_new_tokens: 16, stop: "</s>" };
  const response = await fetch(`${url}/worker_generate_stream`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  let last: string | null = null;
  for await (const { text, error_code: code } of readWireChunks(readBody(response.body))) {
    if (code !== 0) throw new Error(`error_code ${code}: ${text}`);
    last = text;
  }
  if (last === null) throw new Error("the stream has no frame");
  if (!last.startsWith(PROMPT)) throw new Error("the text does not begin with the prompt");
  return last.slice(PROMPT.length).trim();
}

export async function listed(controllerUrl: string): Promise<boolean> {
  return JSON.stringify(await call(controllerUrl, "/list_models")) === JSON.stringify({ models: [MODEL] });
}

export async function addressOf(controllerUrl: string): Promise<string> {
  const reply = await call(controllerUrl, "/get_worker_address", { model: MODEL });
  return typeof reply === "object" && reply !== null && "address" in reply ? String(reply.address) : "";
}

/** @throws `what` when it does not come true in time */
export async function eventually(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + TIMEOUT_MS;
  while (performance.now() < untilMs) {
    if (await isTrue().catch(() => false)) return;
    await sleep(200);
  }
  throw new Error(`${what} did not come within ${TIMEOUT_MS / 1000} s`);
}

export function hold(what: string, isTrue: boolean): void {
  if (!isTrue) throw new Error(what);
}
