/**
 * Challenges a worker at the address that it registers. Its signature proves that it has the token, the challenge that it
 * answers at that address. Without the token no client can make the controller connect to an address.
 */
import { randomBytes } from "node:crypto";
import { LlavaError } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import { hmac, isSameDigest, signedHeaders } from "./signed-requests.ts";
import { isLoopbackHost } from "../network/hosts.ts";
import { parseJson } from "../limits/parse-json.ts";

const PATH = "/cluster_challenge";
const TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 4 << 10;

export interface Candidate {
  /** URL at which the controller is to call the worker. */
  readonly address: string;
  /** Incarnation in its registration; null when it gave none. */
  readonly incarnation: string | null;
}

/**
 * Returns when the controller may call this address. Without a token only this machine's addresses are called; with one
 * the candidate must answer a challenge there.
 * @throws LlavaError forbidden
 */
export async function admitWorker(
  token: string | null,
  candidate: Candidate,
  signal?: AbortSignal,
): Promise<void> {
  if (token !== null) return dialBack(token, candidate, signal);
  const { hostname } = new URL(candidate.address);
  if (isLoopbackHost(hostname)) return;
  throw new LlavaError(
    "forbidden",
    `Without a cluster token the controller takes workers of its own machine only, not ${candidate.address}. ` +
      "Give controller and worker the same --cluster-token-file.",
  );
}

/** The worker's side: proves over a controller's nonce which worker answers here. `identity` is called each time. */
export function addChallengeRoute(
  app: FastifyInstance,
  token: string | null,
  identity: () => Candidate,
): void {
  if (token === null) return;
  app.post(PATH, { config: { role: "cluster" } }, (request) => {
    const nonce = fieldOf(Buffer.isBuffer(request.body) ? parseJson(request.body) : request.body, "nonce");
    if (nonce === null || !/^[0-9a-f]{32}$/.test(nonce)) {
      throw new LlavaError("invalid_request", "The field nonce must be 32 hex digits.");
    }
    const { address, incarnation } = identity();
    return {
      address,
      incarnation,
      proof: proofOf(token, nonce, { address, incarnation }).toString("hex"),
    };
  });
}

async function dialBack(token: string, candidate: Candidate, signal?: AbortSignal): Promise<void> {
  const nonce = randomBytes(16).toString("hex");
  const body = JSON.stringify({ nonce });
  const url = candidate.address.replace(/\/+$/, "") + PATH;
  const deadline = AbortSignal.timeout(TIMEOUT_MS);
  let answer: unknown;
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...signedHeaders(token, "POST", PATH, body) },
      body,
      redirect: "error",
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
    });
    answer = parseJson(await firstBytes(response));
  } catch (cause) {
    throw notProven(candidate, "it does not answer there", cause);
  }
  const incarnation = fieldOf(answer, "incarnation");
  const proof = proofOf(token, nonce, { address: candidate.address, incarnation });
  if (!isSameDigest(fieldOf(answer, "proof") ?? "", proof)) {
    throw notProven(candidate, "who answers there is another program or has another token");
  }
  if (candidate.incarnation !== null && candidate.incarnation !== incarnation) {
    throw notProven(candidate, "who answers there is a later or an earlier process");
  }
}

function proofOf(token: string, nonce: string, { address, incarnation }: Candidate): Buffer {
  return hmac(token, ["challenge", nonce, address.replace(/\/+$/, ""), incarnation ?? ""]);
}

/** The body; throws on one that is too long. */
async function firstBytes(response: Response): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw new Error("the answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function fieldOf(value: unknown, name: string): string | null {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return null;
  const field: unknown = Reflect.get(value, name);
  return typeof field === "string" ? field : null;
}

function notProven({ address }: Candidate, why: string, cause?: unknown): LlavaError {
  const sentence = `The worker at ${address} was not taken in: ${why}. Check its --worker-address and cluster token.`;
  return new LlavaError("forbidden", sentence, { cause });
}
