/** Decides once, when a server starts, which credentials it wants: keys, the token, or neither for some clients. */
import { readFileSync } from "node:fs";
import { LlavaError } from "@llava/protocol";
import { openApiKeys, type ApiKeys } from "./api-keys.ts";
import { isLoopbackHost } from "../network/hosts.ts";

export interface Access {
  readonly keys: ApiKeys | null;
  readonly token: string | null;
  /** Clients that may use `user` routes without a key. */
  readonly anonymous: "none" | "loopback" | "all";
}

/** Access of a server without keys and token, also in tests that name neither. */
export const LOOPBACK_ONLY: Access = { keys: null, token: null, anonymous: "loopback" };

/** Variable in which `llava serve` gives its children the token that it makes: arguments are visible to all users. */
export const TOKEN_VARIABLE = "LLAVA_CLUSTER_TOKEN";

const MIN_TOKEN_LENGTH = 16;
const MAX_TOKEN_LENGTH = 4096;

export interface AccessFlags {
  readonly host: string;
  readonly apiKeyFile?: string;
  readonly clusterTokenFile?: string;
  readonly allowAnonymous?: boolean;
}

/**
 * Reads keys and token. A worker with a token serves its controller only, unless it has keys, too.
 * @throws LlavaError when a file is wrong, or when the server would be open to a network
 */
export function openAccess(flags: AccessFlags, program: "controller" | "worker" | "web"): Access {
  const keys = flags.apiKeyFile === undefined ? null : openApiKeys(flags.apiKeyFile);
  // The page's server does not belong to the cluster.
  const token = program === "web" ? null : takeClusterToken(flags.clusterTokenFile);
  const isAnonymousAllowed = flags.allowAnonymous === true;
  if (!isLoopbackHost(flags.host) && keys === null && token === null && !isAnonymousAllowed) {
    throw new LlavaError("invalid_request", openToAll(flags.host, program));
  }
  return { keys, token, anonymous: anonymousOf(keys, token, isAnonymousAllowed, program) };
}

function anonymousOf(
  keys: ApiKeys | null,
  token: string | null,
  isAllowed: boolean,
  program: "controller" | "worker" | "web",
): Access["anonymous"] {
  if (keys !== null) return "none";
  if (isAllowed) return "all";
  return program === "worker" && token !== null ? "none" : "loopback";
}

/** The token from the file, otherwise from the environment, from which it is removed: no child process needs it. */
function takeClusterToken(file: string | undefined): string | null {
  const inherited = process.env[TOKEN_VARIABLE];
  delete process.env[TOKEN_VARIABLE];
  const token = file === undefined ? inherited : readSecretFile(file, "cluster token");
  if (token === undefined || token === "") return null;
  if (token.length < MIN_TOKEN_LENGTH || token.length > MAX_TOKEN_LENGTH) {
    const sentence = `The cluster token has ${token.length} characters; give ${MIN_TOKEN_LENGTH} to ${MAX_TOKEN_LENGTH}.`;
    throw new LlavaError("invalid_request", `${sentence} "openssl rand -hex 32" makes a good one.`);
  }
  return token;
}

/** The first line of a file that holds one secret. */
export function readSecretFile(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8").split(/\r?\n/, 1)[0]?.trim() ?? "";
  } catch (cause) {
    throw new LlavaError("invalid_request", `The file of the ${what} ${file} cannot be read.`, {
      cause,
    });
  }
}

function openToAll(host: string, program: "controller" | "worker" | "web"): string {
  const key = 'Make an API key with "llava keys add NAME --file keys.txt" and give --api-key-file keys.txt';
  const token =
    program === "worker" ? ", or give the controller and this worker the same --cluster-token-file" : "";
  return (
    `With --host ${host} everybody on the network could use this ${program === "web" ? "page" : program}. ` +
    `${key}${token}; or accept it with --allow-anonymous.`
  );
}
