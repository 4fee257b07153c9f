/** Computes SHA-256. Browsers have `crypto.subtle` on https and localhost only, and a page in a home network is on neither. */
import { sha256 } from "@noble/hashes/sha2.js";

/** The digest in lower-case hexadecimal digits. */
export async function sha256Hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const { subtle } = globalThis.crypto as Partial<Crypto>;
  const digest = subtle ? new Uint8Array(await subtle.digest("SHA-256", bytes)) : sha256(bytes);
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
