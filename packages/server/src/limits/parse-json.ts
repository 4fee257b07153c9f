/** Parses JSON from untrusted clients: limits on depth and number of keys bound its cost, duplicate keys are refused. */
import { LlavaError, strictJsonFault, type JsonLimits } from "@llava/protocol";

const LIMITS: JsonLimits = { maxDepth: 32, maxKeys: 10_000, refusesPrototypes: true };

/** The parsed value. Throws `invalid_request` for what is no JSON or exceeds the limits. */
export function parseJson(bytes: Buffer): unknown {
  const fault = strictJsonFault(bytes, LIMITS);
  if (fault !== null) throw new LlavaError("invalid_request", `The body ${fault}. Send plain JSON.`);
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new LlavaError("invalid_request", "The body is not JSON.", { cause });
  }
}
