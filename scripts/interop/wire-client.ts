/** LLaVA's endpoints as any client of it calls them, to look at what the programs say to each other. */
import { setTimeout as sleep } from "node:timers/promises";
import { MODEL } from "./interop-programs.ts";

const PROMPT = "A chat. USER: What is the color of the sky? ASSISTANT:";
const PATIENCE_MS = 30_000;

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

/** What the last frame of an answer says after the prompt. @throws when a frame is not as LLaVA's are */
export async function generate(url: string): Promise<string> {
  const body = { model: MODEL, prompt: PROMPT, temperature: 0, max_new_tokens: 16, stop: "</s>" };
  const response = await fetch(`${url}/worker_generate_stream`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const frames = (await response.text()).split("\0");
  const texts = frames.slice(0, -1).map((frame) => textOf(JSON.parse(frame)));
  if (frames.at(-1) !== "" || texts.length === 0)
    throw new Error("the stream does not end with a whole frame");
  const last = texts.at(-1) ?? "";
  if (!last.startsWith(PROMPT)) throw new Error("the text does not begin with the prompt");
  return last.slice(PROMPT.length).trim();
}

function textOf(frame: unknown): string {
  const isFrame = typeof frame === "object" && frame !== null && "text" in frame && "error_code" in frame;
  if (!isFrame) throw new Error("a frame has no text and error_code");
  if (frame.error_code !== 0)
    throw new Error(`error_code ${String(frame.error_code)}: ${String(frame.text)}`);
  return String(frame.text);
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
  const untilMs = performance.now() + PATIENCE_MS;
  while (performance.now() < untilMs) {
    if (await isTrue().catch(() => false)) return;
    await sleep(200);
  }
  throw new Error(`${what} did not come within ${PATIENCE_MS / 1000} s`);
}

export function hold(what: string, isTrue: boolean): void {
  if (!isTrue) throw new Error(what);
}
