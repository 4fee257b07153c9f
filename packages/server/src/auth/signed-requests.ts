/**
 * The cluster token: by it a controller and its workers know each other. A request carries an HMAC-SHA256 over what it
 * asks, when, a number used once, and its body; the token itself never travels.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

const DATE_HEADER = "x-llava-date";
const NONCE_HEADER = "x-llava-nonce";
const CONTENT_HEADER = "x-llava-content";
export const SIGNATURE_HEADER = "x-llava-signature";

/** How far the two clocks may be apart, and how long an overheard request could be sent again if nobody remembered it. */
const WINDOW_MS = 60_000;
/** A date may lie one window ahead, so its nonce matters for two. */
const REMEMBERED_MS = 2 * WINDOW_MS;
/** 2,000 requests per second from peers; some 30 MB at the worst. Only signed requests get in. */
const MAX_NONCES = 1 << 18;
/** Larger bodies are bound by their length alone: a second pass over megabytes of images would delay each of them. */
const MAX_HASHED_BYTES = 64 << 10;

/** What a signature says of the body: its hash, or of a large one its length. */
export type ContentClaim =
  | { readonly sha256: string; readonly length: null }
  | { readonly sha256: null; readonly length: number };

export type Verdict =
  | { readonly isValid: true; readonly content: ContentClaim }
  | { readonly isValid: false; readonly sentence: string };

/** A body as it is sent: whole, or in pieces one after the other. */
type Body = Uint8Array | string | readonly Uint8Array[] | null;

/** The headers by which a peer knows us; none without a token. `path` is the request's, with its query. */
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

/** An HMAC over a list of texts; apart from each other, so that no text can pass into its neighbour. */
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
  /** Judges the headers alone, before any of the body is read; what they say of the body must be checked then. */
  readonly verify: (method: string, path: string, headers: IncomingHttpHeaders) => Verdict;
}

/** `now` is wall-clock milliseconds: two machines have no other clock in common. */
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
  /** When each may be forgotten; in order of arrival, so the oldest are first. */
  readonly #expiryMs = new Map<string, number>();

  /** False when it was there already, or when there is no room to remember it. */
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
