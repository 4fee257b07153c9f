/** Who sent a request, found out once from its head, before any of its body is read. */
import { LlavaError } from "@llava/protocol";
import type { FastifyRequest } from "fastify";
import type { Access } from "./access.ts";
import { SIGNATURE_HEADER, sha256Hex, type ContentClaim, type Verifier } from "./signed-requests.ts";
import { clientAddress, isFromLoopback } from "./hosts.ts";
import type { Role } from "./roles.ts";

export interface Caller {
  /** `peer` signed with the cluster token, `key` has an API key, `anonymous` is known by its address alone. */
  readonly kind: "peer" | "key" | "anonymous";
  /** By what it is counted and named in logs: `key:NAME`, `peer` or `ip:ADDRESS`. */
  readonly name: string;
  readonly isLocal: boolean;
  /** Has a key that says so; who is on this machine, or a peer, needs none. */
  readonly isAdmin: boolean;
  /** Is neither limited in its rate nor in its number of requests. */
  readonly isUnlimited: boolean;
  /** What its signature says of the body; null when it has none. */
  readonly content: ContentClaim | null;
  /** Whether what it may do hangs on where it is or on what a browser sends by itself, so that a foreign page could use it. */
  readonly isAmbient: boolean;
  /** Whether it may speak as a member of the cluster. */
  readonly isPeer: boolean;
}

const callers = new WeakMap<FastifyRequest, Caller>();
const EMPTY_SHA256 = sha256Hex("");

/** Whether a controller or worker of our cluster sent this: signed, or without a token from this machine. */
export function isPeer(request: FastifyRequest): boolean {
  return callers.get(request)?.isPeer ?? false;
}

/** Null before the door has looked at the request. */
export function callerOf(request: FastifyRequest): Caller | null {
  return callers.get(request) ?? null;
}

/**
 * Remembers who sent the request. A signature or key that is wrong is refused and never taken for none.
 * @throws LlavaError unauthorized
 */
export function identify(request: FastifyRequest, access: Access, verifier: Verifier | null): Caller {
  const caller =
    signed(request, verifier) ?? withKey(request, access) ?? anonymous(request, access.token === null);
  callers.set(request, caller);
  return caller;
}

/** @throws LlavaError unauthorized or forbidden */
export function checkRole(caller: Caller, role: Role, access: Access): void {
  if (role === "public" || caller.kind === "peer") return;
  if (role === "cluster") return checkCluster(caller, access);
  if (role === "admin" && caller.kind === "key" && !caller.isAdmin) {
    throw new LlavaError(
      "forbidden",
      `The API key "${caller.name.replace("key:", "")}" may not do this. Write admin behind it in the file of keys.`,
    );
  }
  if (caller.kind === "key") return;
  if (access.anonymous !== "nobody" && caller.isLocal) return;
  if (access.anonymous === "everybody" && role === "user") return;
  throw new LlavaError("unauthorized", withoutKey(access));
}

function checkCluster(caller: Caller, { token }: Access): void {
  if (caller.isPeer) return;
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

function signed(request: FastifyRequest, verifier: Verifier | null): Caller | null {
  // Without a token a signature says nothing; who sends one is judged by where it is.
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
    isAmbient: false,
    isPeer: true,
  };
}

/** What can be said of the body before it comes; its hash is compared when it has come (body.ts). */
function checkLength({ headers }: FastifyRequest, content: ContentClaim): void {
  const isChunked = headers["transfer-encoding"] !== undefined;
  const length = Number(headers["content-length"] ?? 0);
  const fits =
    content.sha256 === null
      ? !isChunked && length === content.length
      : isChunked || length > 0 || content.sha256 === EMPTY_SHA256;
  if (!fits) throw new LlavaError("unauthorized", "The body is not the one that the signature is about.");
}

function withKey(request: FastifyRequest, { keys }: Access): Caller | null {
  const given = secretIn(request.headers.authorization);
  // Without keys of ours a client that always sends one is as good as anybody.
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
    isAmbient: given.isAmbient,
    isPeer: false,
  };
}

function anonymous(request: FastifyRequest, hasNoToken: boolean): Caller {
  const address = request.raw.socket.remoteAddress;
  const isLocal = isFromLoopback(address, request.headers);
  return {
    kind: "anonymous",
    name: `ip:${clientAddress(address)}`,
    isLocal,
    isAdmin: false,
    isUnlimited: false,
    content: null,
    isAmbient: true,
    isPeer: hasNoToken && isLocal,
  };
}

/** `Bearer KEY`, or the password of `Basic`, which browsers ask for and then send by themselves. */
function secretIn(
  header: string | undefined,
): { readonly secret: string; readonly isAmbient: boolean } | null {
  const [scheme = "", value = ""] = (header ?? "").split(" ", 2);
  if (value === "") return null;
  if (scheme.toLowerCase() === "bearer") return { secret: value, isAmbient: false };
  if (scheme.toLowerCase() !== "basic") return null;
  const pair = Buffer.from(value, "base64").toString("utf8");
  return { secret: pair.slice(pair.indexOf(":") + 1), isAmbient: true };
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
