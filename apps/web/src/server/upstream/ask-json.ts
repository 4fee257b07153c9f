/** Asks the controller for JSON about itself and its models. */
import { LlavaError } from "@llava/protocol";

import type { Forwarder } from "./forward.ts";
import { readJson } from "./read-json.ts";

const TIMEOUT_MS = 8_000;
/** Most bytes of an answer: some hundred workers with a day of figures each. */
const MAX_BYTES = 8 << 20;

/** Throws `LlavaError` for every status other than 200, and when no answer comes in time. */
export async function askJson(forwarder: Forwarder, path: string): Promise<unknown> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const { statusCode, body } = await forwarder.ask({ method: "GET", path, signal });
  if (statusCode === 200) return await readJson(body, MAX_BYTES);
  await body.dump();
  throw new LlavaError(
    "no_worker",
    `The controller answered with status ${statusCode}. Is it the right one?`,
  );
}
