/** Maps the page's address to the part of the page that is shown, and back. */
import { signal } from "@preact/signals";
import type { Signal } from "@preact/signals";

export type Route =
  | { readonly kind: "new" }
  | { readonly kind: "chat"; readonly id: string }
  | { readonly kind: "compare" }
  | { readonly kind: "cluster" };

export class Router {
  readonly route: Signal<Route> = signal(routeOf(location.pathname));

  constructor() {
    window.addEventListener("popstate", () => (this.route.value = routeOf(location.pathname)));
  }

  go(route: Route): void {
    this.#move(route, "pushState");
  }

  /** Replaces the current entry of the browser's history. */
  become(route: Route): void {
    this.#move(route, "replaceState");
  }

  #move(route: Route, how: "pushState" | "replaceState"): void {
    const path = pathOf(route);
    if (path !== location.pathname) history[how](null, "", path);
    this.route.value = route;
  }
}

export function pathOf(route: Route): string {
  if (route.kind === "compare" || route.kind === "cluster") return `/${route.kind}`;
  return route.kind === "chat" ? `/c/${route.id}` : "/";
}

function routeOf(path: string): Route {
  if (path === "/compare") return { kind: "compare" };
  if (path === "/cluster") return { kind: "cluster" };
  const id = /^\/c\/([0-9a-z]{1,64})$/.exec(path)?.[1];
  return id === undefined ? { kind: "new" } : { kind: "chat", id };
}
