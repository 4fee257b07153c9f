/** Requests the state of a controller and its workers, for `llava ps` and `llava doctor`. */
import { readSecretFile } from "@llava/server/command";
import { LlavaError, parseErrorBody, parseWorkerList, type WorkerList } from "@llava/protocol";
import type { PsFlags } from "../options/command-options.ts";

const TIMEOUT_MS = 5_000;

export interface Controller {
  readonly url: string;
  readonly key: string | null;
}

/** Throws `invalid_request` when the key's file cannot be read. */
export function controllerOf({
  controllerUrl,
  controllerKeyFile,
}: Pick<PsFlags, "controllerUrl" | "controllerKeyFile">): Controller {
  const key =
    controllerKeyFile === undefined
      ? (process.env["LLAVA_API_KEY"] ?? null)
      : readSecretFile(controllerKeyFile, "controller's API key");
  return { url: controllerUrl, key };
}

/** Throws `no_worker` when no controller answers, and the controller's own error when it refuses. */
export async function workersOf(controller: Controller): Promise<WorkerList> {
  const response = await ask(controller, "/workers");
  const text = await response.text();
  if (!response.ok) throw refusal(controller, response.status, text);
  return parseWorkerList(jsonOf(text));
}

/** Throws `no_worker` when no controller answers. */
export async function ask({ url, key }: Controller, path: string): Promise<Response> {
  const headers = key === null ? {} : { authorization: `Bearer ${key}` };
  try {
    return await fetch(url + path, { headers, redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (cause) {
    throw new LlavaError(
      "no_worker",
      `No controller answers at ${url} (${reasonOf(cause)}). Start one with "llava serve" or "llava controller", or name another with --controller.`,
      { cause },
    );
  }
}

function refusal({ url }: Controller, status: number, body: string): LlavaError {
  const error = parseErrorBody(jsonOf(body));
  const hint =
    status === 401 || status === 403
      ? ' Make a key with "llava keys add NAME --file keys.txt --admin" and give --controller-key-file.'
      : "";
  if (error === null)
    return new LlavaError("invalid_request", `${url} is no controller of LLaVA: it answered HTTP ${status}.`);
  return new LlavaError(error.code, `The controller ${url} refused: ${error.message}${hint}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if (cause.name === "TimeoutError") return `no answer within ${TIMEOUT_MS / 1000} s`;
  const inner = cause.cause;
  if (!(inner instanceof Error)) return cause.message;
  return "code" in inner ? String(inner.code) : inner.message;
}
