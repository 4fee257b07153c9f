/** Parses networks that an operator names, and checks the addresses of workers against them. */
import { BlockList, isIP } from "node:net";
import { LlavaError } from "@llava/protocol";
import { normalHost } from "./hosts.ts";

/** Whether a text is a network such as 10.1.0.0/16 or fd00::/8. */
export function isNetwork(text: string): boolean {
  return partsOf(text) !== null;
}

/**
 * Refuses workers whose address lies in none of the networks. Host names are refused, too: their address can change after
 * the check. Without networks every address passes.
 * @throws LlavaError forbidden
 */
export function createAddressCheck(networks: readonly string[]): (url: string) => void {
  if (networks.length === 0) return () => undefined;
  const list = new BlockList();
  for (const network of networks) {
    const parts = partsOf(network);
    if (parts !== null) list.addSubnet(parts.address, parts.bits, parts.family);
  }
  return (url) => {
    const host = normalHost(new URL(url).hostname);
    const version = isIP(host);
    if (version !== 0 && list.check(host, version === 6 ? "ipv6" : "ipv4")) return;
    throw new LlavaError(
      "forbidden",
      `The controller takes no worker at ${JSON.stringify(host)}, only at addresses in ${networks.join(", ")}. ` +
        "Give the worker such a --worker-address, or the controller a --worker-network that holds it.",
    );
  };
}

interface Parts {
  readonly address: string;
  readonly bits: number;
  readonly family: "ipv4" | "ipv6";
}

function partsOf(text: string): Parts | null {
  const [, address = "", digits = ""] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const version = isIP(address);
  const bits = Number(digits);
  if (version === 0 || address.includes("%") || bits > (version === 4 ? 32 : 128)) return null;
  return { address, bits, family: version === 4 ? "ipv4" : "ipv6" };
}
