/** A host's addresses from the name servers alone: no hosts file, no search domains, and never an answer that nobody looked at. */
import { Resolver } from "node:dns/promises";
import { failed } from "./fetch-policy.ts";

/** All addresses of a name, IPv4 first; throws `image_fetch_failed` when there are none. */
export type Resolve = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

const MAX_ADDRESSES = 8;
const TRIES = 2;

/** @param servers name servers as `address:port`; the system's when absent */
export function createResolver(timeoutMs: number, servers?: readonly string[]): Resolve {
  return async (host, signal) => {
    // One for each name, because cancelling ends all that a resolver does.
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
      // With the dot that ends it, a name is looked up as it stands.
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
