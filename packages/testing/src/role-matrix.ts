/** Calls every route of a server as every kind of caller, for the tests of the three servers. */
import type { FastifyInstance } from "fastify";
import { newApiKey, parseKeyFile, routesOf, signedHeaders, type Access, type Role } from "@llava/server";

export const TOKEN = "a token of enough length";
const user = newApiKey("anna");
const admin = newApiKey("ben", ["admin"]);

/** Keys of one user and one admin, and a token. */
export function strictAccess(hasToken: boolean): Access {
  const keys = parseKeyFile(`${user.line}\n${admin.line}`, "keys.txt");
  const bySecret = new Map([
    [user.secret, keys[0] ?? null],
    [admin.secret, keys[1] ?? null],
  ]);
  return {
    keys: { find: (secret) => bySecret.get(secret) ?? null, reload: () => 2, isReadableByOthers: false },
    token: hasToken ? TOKEN : null,
    anonymous: "none",
  };
}

export interface Cell {
  readonly route: string;
  readonly role: Role | undefined;
  readonly caller: "unknown" | "forger" | "user" | "admin" | "peer";
  readonly status: number;
}

export async function askAll(app: FastifyInstance, url: string, hasToken: boolean): Promise<readonly Cell[]> {
  const cells: Cell[] = [];
  for (const { method, url: pattern, role } of routesOf(app)) {
    const path = pattern.replace("*", "x").replace(/:\w+/g, "x");
    const body = method === "GET" || method === "HEAD" ? null : "{}";
    const forged = { ...signedHeaders(TOKEN, method, path, body), "x-llava-nonce": "0".repeat(32) };
    const callers = {
      unknown: {},
      forger: hasToken ? forged : { authorization: "Bearer guessed" },
      user: { authorization: `Bearer ${user.secret}` },
      admin: { authorization: `Bearer ${admin.secret}` },
      ...(hasToken ? { peer: signedHeaders(TOKEN, method, path, body) } : {}),
    };
    for (const [caller, headers] of Object.entries(callers)) {
      const type = body === null ? {} : { "content-type": "application/json" };
      const response = await fetch(url + path, { method, body, headers: { ...type, ...headers } });
      // Some answers have no end.
      await response.body?.cancel();
      cells.push({
        route: `${method} ${pattern}`,
        role,
        caller: callerName(caller),
        status: response.status,
      });
    }
  }
  return cells;
}

/** The cells in which a caller was let in that should be refused, or the other way around. */
export function wrongCells(cells: readonly Cell[]): readonly Cell[] {
  return cells.filter((cell) => isRefusal(cell.status) === mayPass(cell));
}

function mayPass({ role, caller }: Cell): boolean {
  // A wrong proof is refused everywhere.
  if (caller === "forger") return false;
  if (role === "public" || caller === "peer") return true;
  if (role === "user") return caller === "user" || caller === "admin";
  return role === "admin" && caller === "admin";
}

function isRefusal(status: number): boolean {
  return status === 401 || status === 403;
}

function callerName(name: string): Cell["caller"] {
  const names = ["unknown", "forger", "user", "admin", "peer"] as const;
  const found = names.find((known) => known === name);
  if (found === undefined) throw new Error(`${name} is no caller`);
  return found;
}
