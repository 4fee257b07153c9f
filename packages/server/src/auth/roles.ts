/** Defines the roles that routes name, and refuses to start a server with a route that names none. */
import type { FastifyInstance, RouteOptions } from "fastify";

/**
 * `public`: every client · `user`: an API key · `admin`: an API key that is marked so · `cluster`: the controller and
 * workers of one cluster, by its token. A request that is signed with the token passes everywhere.
 */
const ROLES = ["public", "user", "admin", "cluster"] as const;
export type Role = (typeof ROLES)[number];

declare module "fastify" {
  interface FastifyContextConfig {
    /** @see ROLES */
    role?: Role;
    /** Media types that the body may have, such as `image/*`; JSON when absent. */
    accepts?: readonly string[];
  }
}

/** One route of a server. */
export interface NamedRoute {
  readonly method: string;
  readonly url: string;
  readonly role: Role | undefined;
}

const routes = new WeakMap<FastifyInstance, RouteOptions[]>();

/** Every route of a server that `requireRoles` checks, with its role. */
export function routesOf(app: FastifyInstance): readonly NamedRoute[] {
  return (routes.get(app) ?? []).flatMap(({ method, url, config }) =>
    [method].flat().map((name) => ({ method: name, url, role: config?.role })),
  );
}

/** Makes the server refuse to start when a route names no role. */
export function requireRoles(app: FastifyInstance): void {
  const own: RouteOptions[] = [];
  routes.set(app, own);
  // The routes are read when the server is ready, because an inner plugin may still set their roles.
  app.addHook("onRoute", (route) => void own.push(route));
  app.addHook("onReady", async () => {
    const nameless = routesOf(app).filter((route) => !ROLES.some((role) => role === route.role));
    if (nameless.length === 0) return;
    const names = nameless.map(({ method, url }) => `${method} ${url}`).join(", ");
    throw new Error(`No role says who may use ${names}. Give the route config: { role: … }.`);
  });
}
