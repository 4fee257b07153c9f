/** Decides which network addresses are public: the rule that keeps downloads out of private networks. */
import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";

type Address = ReturnType<typeof ipaddr.process>;
/** An address and the length of its prefix in bits. */
export type Network = ReturnType<typeof ipaddr.parseCIDR>;

/** @returns null when it is no network such as 10.1.0.0/16 */
export function parseNetwork(text: string): Network | null {
  return ipaddr.isValidCIDR(text) ? ipaddr.parseCIDR(text) : null;
}

/**
 * Whether an address is on the public internet: not this machine by any of its addresses, not a private, reserved, translated
 * or tunnelled one, not one of `denied`. What is no address is not public.
 */
export function isPublicAddress(text: string, denied: readonly Network[] = []): boolean {
  // A zone id names a network interface of this machine.
  if (text.includes("%") || !ipaddr.isValid(text)) return false;
  // An IPv4-mapped IPv6 address becomes the IPv4 address.
  const address = ipaddr.process(text);
  if (address.range() !== "unicast") return false;
  return !isOwn(address) && !denied.some((network) => isIn(address, network));
}

/** An address in one form, so that addresses can be compared. */
export function canonicalAddress(text: string): string {
  return ipaddr.isValid(text) ? ipaddr.process(text).toString() : text;
}

function isOwn(address: Address): boolean {
  const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return own.some((entry) => canonicalAddress(entry.address) === address.toString());
}

function isIn(address: Address, [network, bits]: Network): boolean {
  return address.kind() === network.kind() && address.match(network, bits);
}
