/** Judges names and addresses of hosts: whether they mean this machine, and whether a request may name them. */
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { hostname } from "node:os";

/** Headers that reverse proxies add; with one of them the address of the connection is the proxy's. */
const PROXY_HEADERS = ["forwarded", "via", "x-forwarded-for", "x-real-ip"] as const;

/** Whether an address or a host name can only mean this machine. Takes `::1` with and without brackets. */
export function isLoopbackHost(host: string): boolean {
  const name = normalHost(host);
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  if (isIP(name) === 4) return name.startsWith("127.");
  return name === "::1";
}

/** Whether a server that listens on this host can be reached through every address of the machine. */
function isEveryInterface(host: string): boolean {
  return ["", "0.0.0.0", "::"].includes(normalHost(host));
}

/** Whether the client is on this machine, as far as a connection shows; false for every request that came through a proxy. */
export function isFromLoopback(address: string | undefined, headers: IncomingHttpHeaders): boolean {
  if (address === undefined || !isLoopbackHost(address)) return false;
  return PROXY_HEADERS.every((name) => headers[name] === undefined);
}

/**
 * Whether a request may name this host. A foreign page whose name was made to point at this machine (DNS rebinding)
 * sends its own name here, so that only the server's names pass, and addresses that it can have.
 */
export function isOwnHost(
  header: string | undefined,
  boundTo: string | null,
  allowed: readonly string[],
): boolean {
  // HTTP/1.0 has no such header, and no browser uses HTTP/1.0.
  if (header === undefined) return true;
  const name = hostOf(header);
  if (name === null) return false;
  if (isLoopbackHost(name) || name === boundTo) return true;
  if (allowed.some((own) => normalHost(own) === name)) return true;
  if (boundTo === null || !isEveryInterface(boundTo)) return false;
  return isIP(name) !== 0 || name === hostname().toLowerCase();
}

/** Whether the request comes from a page of the server itself or of an allowed host. Programs send no `Origin`. */
export function isOwnOrigin(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): boolean {
  if (origin === undefined) return true;
  const url = URL.parse(origin);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) return false;
  return (
    url.host === host?.toLowerCase() || allowed.some((own) => normalHost(own) === normalHost(url.hostname))
  );
}

/** The part of an address that names a network and no household: 24 bits of IPv4, 48 of IPv6. */
export function shortAddress(address: string): string {
  const plain = normalHost(address);
  if (isIP(plain) === 4) return plain.replace(/\d+$/, "0");
  // A text that is no address is not kept at all.
  return isIP(plain) === 6 ? `${groupsOf(plain).slice(0, 3).join(":")}::` : "";
}

/** One text per client: IPv4 also when it came as IPv6, and the /64 of an IPv6 address. */
export function clientAddress(address: string | undefined): string {
  const plain = normalHost(address ?? "unknown");
  if (isIP(plain) !== 6) return plain;
  // A provider gives each customer a /64 at least, which is the first four groups.
  return `${groupsOf(plain).slice(0, 4).join(":")}::/64`;
}

/** All eight groups, each in its shortest form. */
function groupsOf(ipv6: string): readonly string[] {
  const groups = new URL(`http://[${ipv6.replace(/%.*$/, "")}]`).hostname.slice(1, -1).split("::");
  const head = groups[0]?.split(":").filter((group) => group !== "") ?? [];
  const tail = groups[1]?.split(":").filter((group) => group !== "") ?? [];
  if (groups.length === 1) return head;
  return [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => "0"), ...tail];
}

/** The host of `host:port`; null for a text of another form. */
function hostOf(header: string): string | null {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(:\d{1,5})?$/i.exec(header);
  return match?.[1] === undefined ? null : normalHost(match[1]);
}

/** The name in lower case, without brackets and last dot; an IPv4 address in IPv6 form becomes the former. */
export function normalHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/^::ffff:(?=\d+\.\d+\.)/, "")
    .replace(/(?<=[^.])\.$/, "");
}
