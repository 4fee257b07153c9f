/**
 * Strict base64 and data URLs, apart because Node and browsers share no decoder that refuses sloppy input. One pass
 * over the characters, no regular expression over the payload.
 */
import { LlavaError } from "./errors.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = new Uint8Array(256).fill(255);
for (let value = 0; value < ALPHABET.length; value += 1) VALUES[ALPHABET.charCodeAt(value)] = value;

/** "A", six zero bits, put where padding was. */
const FILLER = 65;
const MAX_HEADER_LENGTH = 64;

/** An image's bytes and what the sender says they are; nobody trusts the latter. */
export interface DataUrl {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** Reads `data:image/…;base64,…`; anything else is `invalid_image` naming `field`. */
export function parseImageDataUrl(url: string, field: string): DataUrl {
  const comma = url.slice(0, MAX_HEADER_LENGTH).indexOf(",");
  const match = comma < 0 ? null : /^data:(image\/[a-z0-9.+-]+);base64$/i.exec(url.slice(0, comma));
  const mediaType = match?.[1];
  if (mediaType === undefined) {
    const start = JSON.stringify(url.slice(0, 40));
    throw new LlavaError(
      "invalid_image",
      `The field ${field} must be an image as data:image/…;base64,…, an uploaded one as sha256: and 64 hex digits, or an address; it starts with ${start}.`,
      { param: field },
    );
  }
  return { mediaType: mediaType.toLowerCase(), bytes: decodeBase64(url.slice(comma + 1), field) };
}

/** RFC 4648 section 4 with padding: no white space, no other alphabet, no stray bits. `invalid_image` naming `field`. */
export function decodeBase64(text: string, field: string): Uint8Array {
  if (text.length === 0) throw badBase64(field, "is empty");
  if (text.length % 4 !== 0)
    throw badBase64(field, `has ${text.length} characters, which is not a multiple of 4`);
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const units = new TextEncoder().encode(text);
  units.fill(FILLER, text.length - padding);
  const decoded = new Uint8Array((text.length / 4) * 3);
  if (units.length !== text.length || decodeUnits(units, decoded) > 63) throw badCharacter(text, field);
  const length = decoded.length - padding;
  if (decoded.subarray(length).some((byte) => byte !== 0)) throw badBase64(field, "ends in stray bits");
  return decoded.subarray(0, length);
}

/** Four units to three bytes, without a branch in the loop; the result is over 63 when any unit is not of the alphabet. */
function decodeUnits(units: Uint8Array, decoded: Uint8Array): number {
  let seen = 0;
  let at = 0;
  for (let index = 0; index < units.length; index += 4) {
    const a = VALUES[units[index] ?? 0] ?? 255;
    const b = VALUES[units[index + 1] ?? 0] ?? 255;
    const c = VALUES[units[index + 2] ?? 0] ?? 255;
    const d = VALUES[units[index + 3] ?? 0] ?? 255;
    seen |= a | b | c | d;
    decoded[at] = (a << 2) | (b >> 4);
    decoded[at + 1] = (b << 4) | (c >> 2);
    decoded[at + 2] = (c << 6) | d;
    at += 3;
  }
  return seen;
}

function badCharacter(text: string, field: string): LlavaError {
  let index = 0;
  while (index < text.length - 1 && ALPHABET.includes(text.charAt(index))) index += 1;
  return badBase64(field, `has ${JSON.stringify(text.charAt(index))} at position ${index}`);
}

function badBase64(field: string, what: string): LlavaError {
  return new LlavaError(
    "invalid_image",
    `The field ${field} is not base64: it ${what}. Encode the image again.`,
    { param: field },
  );
}
