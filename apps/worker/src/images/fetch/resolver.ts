/** Resolves names by the name servers alone: no hosts file, no search domains, no second resolution at the connection. */
import { Resolver } from "node:dns/promises";
import { failed } from "./fetch-policy.ts";

/** All addresses of a name, IPv4 first; throws `image_fetch_failed` when there are none. */
export type Resolve = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

const MAX_ADDRESSES = 8;
const TRIES = 2;

/** @param servers name servers as `address:port`; the system's when absent */
export function createResolver(timeoutMs: number, servers?: readonly string[]): Resolve {
  return async (host, signal) => {
    // One for each name, because cancelling a resolver ends all of its queries.
    const resolver = new Resolver({
      timeout: Math.ceil(timeoutMs / TRIES),
      tries: TRIES,
      maxTimeout: timeoutMs,
    });
    if (servers) resolver.setServers(servers);
    const cancel = (): void => resolver.cancel();
    const timer = setTimeout(cancel, timeoutMs);
    signal.addEventListener("abort", cancel, { once: true });
    try {
      // A name that ends in a dot is resolved as it stands, without search domains.
      const answers = await Promise.allSettled([
        resolver.resolve4(`${host}.`),
        resolver.resolve6(`${host}.`),
      ]);
      signal.throwIfAborted();
      const addresses = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
      if (addresses.length === 0) throw failed("its host's name has no address", reasonOf(answers));
      if (addresses.length > MAX_ADDRESSES)
        throw failed(`its host's name has more than ${MAX_ADDRESSES} addresses`);
      return addresses;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", cancel);
    }
  };
}

function reasonOf(answers: readonly PromiseSettledResult<unknown>[]): unknown {
  return answers.find((answer) => answer.status === "rejected")?.reason;
}
