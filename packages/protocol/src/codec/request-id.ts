/** The id that one request keeps through every hop, apart because each server takes it over or makes it by one rule. */

export const REQUEST_ID_HEADER = "x-request-id";

/** 24 of hexadecimal. */
const NUM_WORDS = 3;
/** Random words are drawn for many ids at once: a draw costs more than the rest of an id, and every request has one. */
const drawn = new Uint32Array(64 * NUM_WORDS);
let numUsed = drawn.length;

/** The caller's id when it is harmless in a log line, else a new random one. */
export function requestIdFrom(header: unknown): string {
  if (typeof header === "string" && /^[\w-]{1,64}$/.test(header)) return header;
  if (numUsed === drawn.length) {
    crypto.getRandomValues(drawn);
    numUsed = 0;
  }
  let id = "";
  for (const end = numUsed + NUM_WORDS; numUsed < end; numUsed += 1)
    id += (drawn[numUsed] ?? 0).toString(16).padStart(8, "0");
  return id;
}
