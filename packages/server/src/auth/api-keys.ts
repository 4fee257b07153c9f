/** Makes API keys, reads the file in which their hashes are kept, and compares keys with it. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { LlavaError } from "@llava/protocol";

export interface ApiKey {
  readonly name: string;
  /** SHA-256 of the key. */
  readonly digest: Buffer;
  /** Whether the key opens `admin` routes. */
  readonly isAdmin: boolean;
  /** Whether the key is free of rate limits: for a web server, which counts its own clients. */
  readonly isUnlimited: boolean;
}

export interface ApiKeys {
  /** The key whose plain text is `secret`; null when there is none. Takes the same time for each secret. */
  find(secret: string): ApiKey | null;
  /** Reads the file again; throws and keeps the old keys when it cannot be read or is wrong. @returns the number of keys */
  reload(): number;
  /** Whether users other than the owner can read the file. */
  readonly isReadableByOthers: boolean;
}

const MAX_KEYS = 1024;
const MAX_FILE_BYTES = 256 << 10;
const NAME = /^[A-Za-z0-9][\w.-]{0,63}$/;
const MARKS: ReadonlySet<string> = new Set(["admin", "unlimited"]);
/** 256 random bits cannot be guessed, so that a plain hash protects them. */
const KEY_BYTES = 32;

/** @throws LlavaError when the file cannot be read or is wrong */
export function openApiKeys(file: string): ApiKeys {
  let keys = readKeyFile(file);
  return {
    find: (secret) => findKey(keys, secret),
    reload() {
      keys = readKeyFile(file);
      return keys.length;
    },
    get isReadableByOthers() {
      return isReadableByOthers(file);
    },
  };
}

/** A new key and its line for the file of keys. The key itself is stored nowhere. */
export function newApiKey(
  name: string,
  marks: readonly string[] = [],
): { readonly secret: string; readonly line: string } {
  if (!NAME.test(name)) throw new LlavaError("invalid_request", nameSentence(name));
  const secret = `llava-${randomBytes(KEY_BYTES).toString("base64url")}`;
  return { secret, line: [name, digestOf(secret).toString("hex"), ...marks].join(" ") };
}

/** The keys of a file's text: a line each, `name sha256hex`, then perhaps `admin` or `unlimited`; `#` begins a comment. */
export function parseKeyFile(text: string, file: string): readonly ApiKey[] {
  const keys: ApiKey[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const words = line.replace(/#.*$/, "").trim().split(/\s+/);
    if (words[0] === "") continue;
    const key = parseLine(words);
    if (typeof key === "string") throw wrongFile(`Line ${index + 1} of ${file}: ${key}`);
    if (keys.some(({ name }) => name === key.name)) {
      throw wrongFile(
        `Line ${index + 1} of ${file}: the name ${key.name} is there twice. Give each key its own.`,
      );
    }
    keys.push(key);
  }
  if (keys.length === 0) {
    throw wrongFile(`${file} has no key. Make one with "llava keys add NAME --file ${file}".`);
  }
  if (keys.length > MAX_KEYS) throw wrongFile(`${file} has ${keys.length} keys; ${MAX_KEYS} is the limit.`);
  return keys;
}

/** The key of a line, or a sentence that says what is wrong with it. */
function parseLine([name = "", digest = "", ...marks]: readonly string[]): ApiKey | string {
  if (!NAME.test(name)) return nameSentence(name);
  if (!/^[0-9a-f]{64}$/i.test(digest)) {
    return 'after the name comes the SHA-256 of the key in 64 hex digits. "llava keys add" writes such lines.';
  }
  const unknown = marks.find((mark) => !MARKS.has(mark));
  if (unknown !== undefined)
    return `${JSON.stringify(unknown.slice(0, 40))} is not known; write admin or unlimited.`;
  return {
    name,
    digest: Buffer.from(digest, "hex"),
    isAdmin: marks.includes("admin"),
    isUnlimited: marks.includes("unlimited"),
  };
}

/** Compares with every key, also after a match, so that the time that it takes reveals nothing. */
function findKey(keys: readonly ApiKey[], secret: string): ApiKey | null {
  const digest = digestOf(secret);
  let found: ApiKey | null = null;
  for (const key of keys) {
    if (timingSafeEqual(key.digest, digest)) found = key;
  }
  return found;
}

/** False on Windows, where access lists decide and the mode does not show them. */
export function isReadableByOthers(file: string): boolean {
  return process.platform !== "win32" && (statSync(file).mode & 0o077) !== 0;
}

function readKeyFile(file: string): readonly ApiKey[] {
  let text: string;
  try {
    if (statSync(file).size > MAX_FILE_BYTES) throw wrongFile(`${file} is too large to be a file of keys.`);
    text = readFileSync(file, "utf8");
  } catch (cause) {
    if (cause instanceof LlavaError) throw cause;
    const sentence = `The file of API keys ${file} cannot be read. Make it with "llava keys add NAME --file ${file}".`;
    throw new LlavaError("invalid_request", sentence, { cause });
  }
  return parseKeyFile(text, file);
}

function digestOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

function nameSentence(name: string): string {
  const shown = JSON.stringify(name.slice(0, 80));
  return `${shown} is not a key's name; write up to 64 letters, digits, dots, dashes or underscores.`;
}

function wrongFile(sentence: string): LlavaError {
  return new LlavaError("invalid_request", sentence);
}
