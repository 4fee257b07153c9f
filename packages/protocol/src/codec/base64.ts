/**
 * Decodes strict base64 and data URLs, as Node and browsers share no decoder that refuses invalid input. It takes one pass
 * over the characters and runs no regular expression over the payload.
 */
import { LlavaError } from "./errors.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = new Uint8Array(256).fill(255);
for (let value = 0; value < ALPHABET.length; value += 1) VALUES[ALPHABET.charCodeAt(value)] = value;

/** The character "A", six zero bits, which takes the place of padding. */
const FILLER = 65;
/** The longest part of a data URL before its comma, in characters. */
const MAX_HEADER_LENGTH = 64;

export interface DataUrl {
  /** The image's type as the sender gives it, which the decoder does not trust. */
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** Reads `data:image/…;base64,…`. Throws `invalid_image` naming `field` for everything else. */
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

/**
 * Decodes base64 of RFC 4648, section 4, with padding: no white space, no other alphabet, no bits behind the last byte.
 * Throws `invalid_image` naming `field`.
 */
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

/**
 * Turns four units into three bytes, without a branch in the loop.
 * @returns more than 63 when any unit is not in the alphabet
 */
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
