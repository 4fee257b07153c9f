/** Decides which addresses of images are fetched and how much they may send, as far as that is known before a connection. */
import { isIP } from "node:net";
import { LlavaError } from "@llava/protocol";
import { isPublicAddress, type Network } from "./public-address.ts";

export interface FetchPolicy {
  /** Whether http is allowed beside https. */
  readonly allowsHttp: boolean;
  /** Host names that are allowed, `*.example.com` for all below; all when empty. */
  readonly domains: readonly string[];
  /** Ports that are allowed beside 443, and 80 of http. */
  readonly ports: readonly number[];
  readonly maxRedirects: number;
  /** Networks that are denied beside private and reserved ones. */
  readonly deniedNetworks: readonly Network[];
}

export const FETCH_POLICY: FetchPolicy = {
  allowsHttp: false,
  domains: [],
  ports: [],
  maxRedirects: 0,
  deniedNetworks: [],
};

export interface FetchLimits {
  readonly bytes: number;
  readonly resolveMs: number;
  readonly connectMs: number;
  /** From the connection to the end of the head. */
  readonly headersMs: number;
  /** From the request to the last byte, all redirects included. */
  readonly totalMs: number;
  /** Downloads at the same time, of one client and of all. */
  readonly perClient: number;
  readonly all: number;
  /** Time during which a failed download is not tried again. */
  readonly failedMs: number;
}

export const FETCH_LIMITS: FetchLimits = {
  bytes: 10 << 20,
  resolveMs: 3_000,
  connectMs: 2_000,
  headersMs: 5_000,
  totalMs: 10_000,
  perClient: 2,
  all: 16,
  failedMs: 30_000,
};

/** Names that exist in private networks only; `localhost` falls under names without a dot. */
const PRIVATE_DOMAINS = [".localhost", ".local", ".internal", ".home.arpa"];

/** Parses an address, whose text is not read again anywhere else. @throws LlavaError `image_url_blocked` */
export function parseImageUrl(text: string, policy: FetchPolicy, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  if (url === null) throw blocked("is not an address that can be read");
  checkImageUrl(url, policy);
  return url;
}

function checkImageUrl(url: URL, policy: FetchPolicy): void {
  const { protocol } = url;
  if (protocol !== "https:" && !(protocol === "http:" && policy.allowsHttp))
    throw blocked(
      `begins with ${protocol}, but only https:${policy.allowsHttp ? " and http:" : ""} is fetched`,
    );
  if (url.username !== "" || url.password !== "") throw blocked("holds a user name or a password");
  if (url.port !== "" && !policy.ports.includes(Number(url.port)))
    throw blocked(`names port ${url.port}, from which nothing is fetched`);
  checkHost(hostOf(url), policy);
}

/** The host's name, without the dot that may end it. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/\.$/, "").toLowerCase();
}

function checkHost(host: string, { domains }: FetchPolicy): void {
  // An IPv6 address stands in brackets; the parser has made numbers of all kinds into plain IPv4 addresses.
  if (host.startsWith("[") || isIP(host) !== 0)
    throw blocked("names a machine by its number; use its public name");
  const isPrivate = !host.includes(".") || PRIVATE_DOMAINS.some((domain) => host.endsWith(domain));
  if (isPrivate || host.endsWith(".")) throw blocked("has no public name in it");
  if (domains.length > 0 && !domains.some((domain) => isUnder(host, domain.toLowerCase())))
    throw blocked("is of a site from which this server fetches nothing");
}

function isUnder(host: string, domain: string): boolean {
  return domain.startsWith("*.") ? host.endsWith(domain.slice(1)) : host === domain;
}

/** All of a name's addresses must be public: the next resolution of the name might return the one that is not. */
export function checkAddresses(
  addresses: readonly string[],
  isPublic: (address: string) => boolean = isPublicAddress,
): void {
  if (!addresses.every((address) => isPublic(address)))
    throw blocked("leads to a machine that is not on the public network");
}

/** A refusal: a predicate whose subject is the address. */
export function blocked(what: string): LlavaError {
  return new LlavaError("image_url_blocked", `The image's address ${what}. Send the image itself instead.`);
}

/** A download that failed: the reason. */
export function failed(what: string, cause?: unknown): LlavaError {
  return new LlavaError(
    "image_fetch_failed",
    `The image could not be fetched: ${what}. Check the address, or send the image itself.`,
    { cause },
  );
}
