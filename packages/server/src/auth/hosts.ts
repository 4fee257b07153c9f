/** Names and addresses of machines: which of them are this one, and which a request may ask for. */
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { hostname } from "node:os";

/** Headers that a reverse proxy adds; with one of them the connection's address is the proxy's. */
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

/** Whether whoever sent this is on this machine, as far as a connection can tell; behind a proxy nobody is. */
export function isFromLoopback(address: string | undefined, headers: IncomingHttpHeaders): boolean {
  if (address === undefined || !isLoopbackHost(address)) return false;
  return PROXY_HEADERS.every((name) => headers[name] === undefined);
}

/**
 * Whether a request may name this host. A page of a stranger whose name suddenly points at this machine (DNS rebinding)
 * shows its own name here, so only our names pass, and addresses that we can have.
 */
export function isOwnHost(
  header: string | undefined,
  boundTo: string | null,
  allowed: readonly string[],
): boolean {
  // HTTP/1.0 has no such header; no browser speaks it.
  if (header === undefined) return true;
  const name = hostOf(header);
  if (name === null) return false;
  if (isLoopbackHost(name) || name === boundTo) return true;
  if (allowed.some((own) => normalHost(own) === name)) return true;
  if (boundTo === null || !isEveryInterface(boundTo)) return false;
  return isIP(name) !== 0 || name === hostname().toLowerCase();
}

/** Whether a page that the server itself has delivered, or an allowed one, sent this. Programs send no `Origin`. */
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

/** So much of an address as tells a network and nobody's home: 24 bits of IPv4, 48 of IPv6. */
export function shortAddress(address: string): string {
  const plain = normalHost(address);
  if (isIP(plain) === 4) return plain.replace(/\d+$/, "0");
  // What is no address is nothing to be kept either.
  return isIP(plain) === 6 ? `${groupsOf(plain).slice(0, 3).join(":")}::` : "";
}

/** The address as one text per client: IPv4 also when it came as IPv6, and of IPv6 the part that one customer has. */
export function clientAddress(address: string | undefined): string {
  const plain = normalHost(address ?? "unknown");
  if (isIP(plain) !== 6) return plain;
  // A customer gets a /64 at least, which is the first four groups.
  return `${groupsOf(plain).slice(0, 4).join(":")}::/64`;
}

/** All eight, in their shortest form. */
function groupsOf(ipv6: string): readonly string[] {
  const groups = new URL(`http://[${ipv6.replace(/%.*$/, "")}]`).hostname.slice(1, -1).split("::");
  const head = groups[0]?.split(":").filter((group) => group !== "") ?? [];
  const tail = groups[1]?.split(":").filter((group) => group !== "") ?? [];
  if (groups.length === 1) return head;
  return [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => "0"), ...tail];
}

/** The host of `host:port`; null when it is nothing of the kind. */
function hostOf(header: string): string | null {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(:\d{1,5})?$/i.exec(header);
  return match?.[1] === undefined ? null : normalHost(match[1]);
}

/** Lower case, without brackets, without the last dot, IPv4 as such. */
export function normalHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/^::ffff:(?=\d+\.\d+\.)/, "")
    .replace(/(?<=[^.])\.$/, "");
}
