/** Finds out from the head of a request which principal sent it, before any of its body is read. */
import { LlavaError } from "@llava/protocol";
import type { FastifyRequest } from "fastify";
import type { Access } from "./access.ts";
import { SIGNATURE_HEADER, sha256Hex, type ContentClaim, type Verifier } from "./signed-requests.ts";
import { clientAddress, isFromLoopback } from "../network/hosts.ts";
import type { Role } from "./roles.ts";

export interface Principal {
  /** `peer` signed with the cluster token, `key` sent an API key, `anonymous` has an address only. */
  readonly kind: "peer" | "key" | "anonymous";
  /** Name for counting and for logs: `key:NAME`, `peer` or `ip:ADDRESS`. */
  readonly name: string;
  readonly isLocal: boolean;
  /** Whether its key is marked admin; clients of this machine and peers need no mark. */
  readonly isAdmin: boolean;
  /** Whether it is free of limits on rate and number of requests. */
  readonly isUnlimited: boolean;
  /** Claim of its signature about the body; null without a signature. */
  readonly content: ContentClaim | null;
  /** Whether its rights come from its address or from credentials that a browser adds by itself, which a foreign page could use. */
  readonly usesAmbientCredentials: boolean;
  /** Whether it acts as a member of the cluster. */
  readonly isPeer: boolean;
}

const principals = new WeakMap<FastifyRequest, Principal>();
const EMPTY_SHA256 = sha256Hex("");

/** Whether a controller or worker of our cluster sent this: signed, or without a token from this machine. */
export function isPeer(request: FastifyRequest): boolean {
  return principals.get(request)?.isPeer ?? false;
}

/** Null before `identify` has run for the request. */
export function principalOf(request: FastifyRequest): Principal | null {
  return principals.get(request) ?? null;
}

/**
 * Finds the principal of a request and keeps it. A wrong signature or key is refused and never treated as absent.
 * @throws LlavaError unauthorized
 */
export function identify(request: FastifyRequest, access: Access, verifier: Verifier | null): Principal {
  const principal =
    signed(request, verifier) ?? withKey(request, access) ?? anonymous(request, access.token === null);
  principals.set(request, principal);
  return principal;
}

/** @throws LlavaError unauthorized or forbidden */
export function checkRole(principal: Principal, role: Role, access: Access): void {
  if (role === "public" || principal.kind === "peer") return;
  if (role === "cluster") return checkCluster(principal, access);
  if (role === "admin" && principal.kind === "key" && !principal.isAdmin) {
    throw new LlavaError(
      "forbidden",
      `The API key "${principal.name.replace("key:", "")}" may not do this. Write admin behind it in the file of keys.`,
    );
  }
  if (principal.kind === "key") return;
  if (access.anonymous !== "none" && principal.isLocal) return;
  if (access.anonymous === "all" && role === "user") return;
  throw new LlavaError("unauthorized", withoutKey(access));
}

function checkCluster(principal: Principal, { token }: Access): void {
  if (principal.isPeer) return;
  throw token === null
    ? new LlavaError(
        "forbidden",
        "Without a cluster token only programs on this machine may do this. Give both sides the same --cluster-token-file.",
      )
    : new LlavaError(
        "unauthorized",
        "This is for controllers and workers of the cluster. Sign the request with the cluster token.",
      );
}

function signed(request: FastifyRequest, verifier: Verifier | null): Principal | null {
  // Without a token a signature proves nothing; its sender is treated as any other client.
  if (verifier === null || request.headers[SIGNATURE_HEADER] === undefined) return null;
  const verdict = verifier.verify(request.method, request.raw.url ?? "", request.headers);
  if (!verdict.isValid) throw new LlavaError("unauthorized", verdict.sentence);
  checkLength(request, verdict.content);
  return {
    kind: "peer",
    name: "peer",
    isLocal: false,
    isAdmin: true,
    isUnlimited: true,
    content: verdict.content,
    usesAmbientCredentials: false,
    isPeer: true,
  };
}

/** Checks what is known of the body before it comes; its hash is compared when it has come (body-limit.ts). */
function checkLength({ headers }: FastifyRequest, content: ContentClaim): void {
  const isChunked = headers["transfer-encoding"] !== undefined;
  const length = Number(headers["content-length"] ?? 0);
  const fits =
    content.sha256 === null
      ? !isChunked && length === content.length
      : isChunked || length > 0 || content.sha256 === EMPTY_SHA256;
  if (!fits) throw new LlavaError("unauthorized", "The body is not the one that the signature is about.");
}

function withKey(request: FastifyRequest, { keys }: Access): Principal | null {
  const given = secretIn(request.headers.authorization);
  // On a server without keys a client that always sends one is treated as any other.
  if (keys === null || given === null) return null;
  const key = keys.find(given.secret);
  if (key === null)
    throw new LlavaError("unauthorized", "The API key is not known here. Check it, or ask for a new one.");
  return {
    kind: "key",
    name: `key:${key.name}`,
    isLocal: false,
    isAdmin: key.isAdmin,
    isUnlimited: key.isUnlimited,
    content: null,
    usesAmbientCredentials: given.usesAmbientCredentials,
    isPeer: false,
  };
}

function anonymous(request: FastifyRequest, hasNoToken: boolean): Principal {
  const address = request.raw.socket.remoteAddress;
  const isLocal = isFromLoopback(address, request.headers);
  return {
    kind: "anonymous",
    name: `ip:${clientAddress(address)}`,
    isLocal,
    isAdmin: false,
    isUnlimited: false,
    content: null,
    usesAmbientCredentials: true,
    isPeer: hasNoToken && isLocal,
  };
}

/** The secret of `Bearer KEY`, or the password of `Basic`, which browsers ask for and then send by themselves. */
function secretIn(
  header: string | undefined,
): { readonly secret: string; readonly usesAmbientCredentials: boolean } | null {
  const [scheme = "", value = ""] = (header ?? "").split(" ", 2);
  if (value === "") return null;
  if (scheme.toLowerCase() === "bearer") return { secret: value, usesAmbientCredentials: false };
  if (scheme.toLowerCase() !== "basic") return null;
  const pair = Buffer.from(value, "base64").toString("utf8");
  return { secret: pair.slice(pair.indexOf(":") + 1), usesAmbientCredentials: true };
}

function withoutKey({ keys, token }: Access): string {
  if (keys !== null) return "This needs an API key. Send it in the header Authorization: Bearer KEY.";
  if (token !== null)
    return "This server has no API keys; only its own cluster is served. Ask its controller.";
  return (
    "This server has no API keys and serves programs on its own machine only. " +
    'Make a key with "llava keys add NAME --file keys.txt" and start it with --api-key-file keys.txt.'
  );
}
