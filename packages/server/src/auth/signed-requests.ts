/**
 * Signs requests between a controller and its workers with the cluster token, and verifies them. A request carries an
 * HMAC-SHA256 over its method, path, date, a nonce and its body; the token itself is never sent.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

const DATE_HEADER = "x-llava-date";
const NONCE_HEADER = "x-llava-nonce";
const CONTENT_HEADER = "x-llava-content";
export const SIGNATURE_HEADER = "x-llava-signature";

/** Largest difference of the two clocks, and the time in which an intercepted request could be sent again without the cache of nonces. */
const WINDOW_MS = 60_000;
/** A date may lie one window ahead, so that its nonce must be kept for two. */
const REMEMBERED_MS = 2 * WINDOW_MS;
/** Enough for 2,000 requests per second; at most some 30 MB. Only signed requests enter the cache. */
const MAX_NONCES = 1 << 18;
/** Limit in bytes; only the length of larger bodies is signed: a second pass over megabytes of images would delay each of them. */
const MAX_HASHED_BYTES = 64 << 10;

/** What a signature covers of the body: its hash, or the length of a large one. */
export type ContentClaim =
  | { readonly sha256: string; readonly length: null }
  | { readonly sha256: null; readonly length: number };

export type Verdict =
  | { readonly isValid: true; readonly content: ContentClaim }
  | { readonly isValid: false; readonly sentence: string };

/** A body as it is sent: whole, or in consecutive pieces. */
type Body = Uint8Array | string | readonly Uint8Array[] | null;

/** The headers that prove membership of the cluster; none without a token. `path` includes the query. */
export function signedHeaders(
  token: string | null,
  method: string,
  path: string,
  body: Body,
): Record<string, string> {
  if (token === null) return {};
  const date = new Date().toISOString();
  const nonce = randomBytes(16).toString("hex");
  const content = contentOf(body);
  const signature = hmac(token, [method, path, date, nonce, content]).toString("hex");
  return {
    [DATE_HEADER]: date,
    [NONCE_HEADER]: nonce,
    [CONTENT_HEADER]: content,
    [SIGNATURE_HEADER]: signature,
  };
}

/** An HMAC over a list of texts, which JSON separates: no part can be shifted into its neighbour. */
export function hmac(token: string, parts: readonly string[]): Buffer {
  return createHmac("sha256", token).update(JSON.stringify(parts)).digest();
}

export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Compares two hex texts in a time that does not depend on where they differ. */
export function isSameDigest(hex: string, digest: Buffer): boolean {
  const given = Buffer.from(/^[0-9a-f]{64}$/.test(hex) ? hex : "", "hex");
  return given.length === digest.length && timingSafeEqual(given, digest);
}

export interface Verifier {
  /** Verifies the headers alone, before the body is read; their claim about the body is checked when it has come. */
  readonly verify: (method: string, path: string, headers: IncomingHttpHeaders) => Verdict;
}

/** `now` gives wall-clock milliseconds, the only clock that two machines share. */
export function createVerifier(token: string, now: () => number = Date.now): Verifier {
  const seen = new NonceCache();
  return {
    verify(method, path, headers) {
      const date = one(headers[DATE_HEADER]);
      const nonce = one(headers[NONCE_HEADER]);
      const claim = one(headers[CONTENT_HEADER]);
      const signature = one(headers[SIGNATURE_HEADER]);
      const content = parseContent(claim);
      if (!/^[\w-]{16,64}$/.test(nonce) || content === null) return refused("it is incomplete.");
      if (!isSameDigest(signature, hmac(token, [method, path, date, nonce, claim]))) {
        return refused("it does not fit. Give both sides the same cluster token.");
      }
      const ageMs = now() - Date.parse(date);
      if (!(Math.abs(ageMs) <= WINDOW_MS)) {
        return refused(
          `its date ${date} is more than ${WINDOW_MS / 1000} s away. Set both machines' clocks.`,
        );
      }
      if (!seen.add(nonce, now())) return refused("it was used before.");
      return { isValid: true, content };
    },
  };
}

class NonceCache {
  /** Time at which each nonce may be removed; in order of arrival, so that the oldest are first. */
  readonly #expiryMs = new Map<string, number>();

  /** False when the nonce was used before, or when there is no room for it. */
  add(nonce: string, nowMs: number): boolean {
    for (const [old, expiryMs] of this.#expiryMs) {
      if (expiryMs > nowMs) break;
      this.#expiryMs.delete(old);
    }
    if (this.#expiryMs.has(nonce) || this.#expiryMs.size >= MAX_NONCES) return false;
    this.#expiryMs.set(nonce, nowMs + REMEMBERED_MS);
    return true;
  }
}

function contentOf(body: Body): string {
  const bytes = typeof body === "string" ? Buffer.from(body) : (body ?? []);
  const pieces: readonly Uint8Array[] = bytes instanceof Uint8Array ? [bytes] : bytes;
  const length = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (length > MAX_HASHED_BYTES) return `length=${length}`;
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return `sha256=${hash.digest("hex")}`;
}

function parseContent(claim: string): ContentClaim | null {
  const sha256 = /^sha256=([0-9a-f]{64})$/.exec(claim)?.[1];
  if (sha256 !== undefined) return { sha256, length: null };
  const length = Number(/^length=(\d{1,12})$/.exec(claim)?.[1]);
  return length > MAX_HASHED_BYTES ? { sha256: null, length } : null;
}

function one(header: string | string[] | undefined): string {
  return typeof header === "string" ? header : "";
}

function refused(reason: string): Verdict {
  return { isValid: false, sentence: `The signature of the request was refused: ${reason}` };
}
