/** JSON as a server may take it from strangers: no depth or number of keys that costs more than it says, nothing said twice. */
import { LlavaError, strictJsonFault, type JsonLimits } from "@llava/protocol";

const LIMITS: JsonLimits = { maxDepth: 32, maxKeys: 10_000, refusesPrototypes: true };

/** The value; `invalid_request` when it is no JSON or not such as is taken here. */
export function parseJson(bytes: Buffer): unknown {
  const fault = strictJsonFault(bytes, LIMITS);
  if (fault !== null) throw new LlavaError("invalid_request", `The body ${fault}. Send plain JSON.`);
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new LlavaError("invalid_request", "The body is not JSON.", { cause });
  }
}
