/** Adds one field to a body of JSON without reading or copying it: the body may hold megabytes of images. */
import { isJsonSpace, LlavaError } from "@llava/protocol";

const COMMA = ",";
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * The body's bytes with `"name":json` as the last field of the outermost object, in pieces to be sent one after the other.
 * `JSON.parse` takes the last of equal keys, so that this one counts. The body must be an object; nothing else is checked.
 */
export function spliceField(body: Buffer, name: string, json: string): readonly Buffer[] {
  const brace = lastNonSpace(body, body.length - 1);
  if (body[brace] !== CLOSE_OBJECT)
    throw new LlavaError("invalid_request", "The body must be a JSON object.");
  const isEmpty = body[lastNonSpace(body, brace - 1)] === OPEN_OBJECT;
  const field = Buffer.from(`${isEmpty ? "" : COMMA}${JSON.stringify(name)}:${json}`);
  return [body.subarray(0, brace), field, body.subarray(brace)];
}

/** The index of the last byte up to `from` that is no white space, -1 when there is none. */
function lastNonSpace(body: Buffer, from: number): number {
  let at = from;
  while (isJsonSpace(body[at])) at -= 1;
  return at;
}
