/** Makes the id that one request keeps in every server that it passes, or takes over the one that it has. */

export const REQUEST_ID_HEADER = "x-request-id";

/** The random 32-bit words of one id, which make 24 hexadecimal digits. */
const NUM_WORDS = 3;
/** Random words for 64 ids: a draw costs more than the rest of an id, and every request has one. */
const drawn = new Uint32Array(64 * NUM_WORDS);
let numUsed = drawn.length;

/** The id in a request's header when it is harmless in a log line, else a new random one. */
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
