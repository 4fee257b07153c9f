/**
 * Finds the images in a request's bytes and their keys. A body of many megabytes must be neither parsed nor hashed in one
 * go: every other stream would stand still meanwhile.
 */
import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { imageKey, isImageKey, JsonScanner, SEARCH_WORK } from "@llava/protocol";

const BACKSLASH = 0x5c;

/** The number of images that one request may have. */
const MAX_IMAGES = 8;
/** The work that one body may cost: as much as 65,536 quotes, those inside texts included. Images behind them are not found. */
const MAX_WORK = (1 << 16) * SEARCH_WORK;
/** The longest key that is read; the names that matter are shorter. */
const MAX_KEY_BYTES = 32;
const KEY_LENGTH = imageKey("").length + 64;
const DATA_URL_START = Buffer.from("data:");
/** The longest part of a data URL before its comma: `data:image/svg+xml;base64,` and the like. */
const MAX_DATA_URL_HEAD = 64;
/** The bytes of base64 that are hashed at once, a multiple of four: they take 1 ms with escapes, a third of that without. */
const SLICE_BYTES = 1 << 18;

/** The bytes of a body between two quotes. */
export interface ImageRange {
  /** The index behind the opening quote. */
  readonly start: number;
  /** The index of the closing quote. */
  readonly end: number;
}

/**
 * The strings of a body that are images: `url` of an `image_url`, and the elements of LLaVA's `images`. It may find one
 * that the worker will not take for an image, as keys are looked at without their places.
 */
export function findImages(body: Buffer): readonly ImageRange[] {
  const found: ImageRange[] = [];
  const scanner = new JsonScanner(body, 0, MAX_WORK);
  let key = "";
  let isFirst = false;
  while (found.length < MAX_IMAGES) {
    const token = scanner.nextString();
    if (token !== "key" && token !== "string") break;
    const { start, end } = scanner;
    if (token === "key") key = end - start <= MAX_KEY_BYTES ? keyText(body, start, end) : "";
    else if (isImage(body, start, end, key, isFirst)) found.push({ start, end });
    isFirst = token === "key";
  }
  return found;
}

/**
 * The keys of a body's images, in their order, each once. The key of a data URL or base64 is the hash of the file in it, a
 * reference is a key already, an address has none. Other requests get their turns meanwhile. Throws the signal's reason.
 */
export async function imageKeysOf(body: Buffer, signal?: AbortSignal): Promise<readonly string[]> {
  const keys = new Set<string>();
  for (const { start, end } of findImages(body)) {
    const key = end - start === KEY_LENGTH ? body.toString("latin1", start, end) : "";
    if (isImageKey(key)) keys.add(key);
    else keys.add(imageKey(await hashBase64(body, payloadStart(body, start, end), end, signal)));
  }
  return [...keys];
}

/** The keys of the images that a body only refers to, which a worker must have got before. */
export function referredKeysOf(body: Buffer): readonly string[] {
  const texts = findImages(body)
    .filter(({ start, end }) => end - start === KEY_LENGTH)
    .map(({ start, end }) => body.toString("latin1", start, end));
  return [...new Set(texts.filter((text) => isImageKey(text)))];
}

/** @param isFirst whether the string comes right after its key: only the first one belongs to `url`, `images` is a list */
function isImage(body: Buffer, start: number, end: number, key: string, isFirst: boolean): boolean {
  if (key === "images") return end > start;
  if (!isFirst || (key !== "url" && key !== "image_url")) return false;
  if (end - start === KEY_LENGTH && isImageKey(body.toString("latin1", start, end))) return true;
  return body.subarray(start, start + DATA_URL_START.length).equals(DATA_URL_START);
}

/** The index where the base64 begins: behind the comma of a data URL. */
function payloadStart(body: Buffer, start: number, end: number): number {
  const head = body.subarray(start, Math.min(end, start + MAX_DATA_URL_HEAD));
  const comma = head.subarray(0, DATA_URL_START.length).equals(DATA_URL_START) ? head.indexOf(",") : -1;
  return start + comma + 1;
}

/** The hex SHA-256 of the decoded base64. A slash may be written `\/`, as PHP does; other escapes are not base64. */
async function hashBase64(body: Buffer, start: number, end: number, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const hasEscapes = body.subarray(start, end).includes(BACKSLASH);
  let rest = "";
  for (let at = start; at < end; at += SLICE_BYTES) {
    if (at > start) await nextTurn();
    signal?.throwIfAborted();
    const slice = body.toString("latin1", at, Math.min(end, at + SLICE_BYTES));
    const text = hasEscapes ? rest + slice.replaceAll("\\", "") : slice;
    const whole = text.length - (text.length % 4);
    hash.update(text.slice(0, whole), "base64");
    rest = text.slice(whole);
  }
  return hash.update(rest, "base64").digest("hex");
}

function keyText(body: Buffer, start: number, end: number): string {
  const text = body.toString("latin1", start, end);
  if (!text.includes("\\")) return text;
  try {
    return String(JSON.parse(`"${text}"`));
  } catch {
    return "";
  }
}
