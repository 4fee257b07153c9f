/** The id that one request keeps through every hop, apart because each server takes it over or makes it by one rule. */

export const REQUEST_ID_HEADER = "x-request-id";

/** The caller's id when it is harmless in a log line, else a new random one. */
export function requestIdFrom(header: unknown): string {
  if (typeof header === "string" && /^[\w-]{1,64}$/.test(header)) return header;
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
