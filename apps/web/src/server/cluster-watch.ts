/** The controller's picture of its cluster, asked for once a second while somebody looks at it, however many do. */
import type { PageEvent } from "@llava/protocol";

import { askJson } from "./ask-json.ts";
import type { Forwarder } from "./forward.ts";

type Watcher = (event: PageEvent) => void;

const PAUSE_MS = 1_000;

export class ClusterWatch implements Disposable {
  readonly #forwarder: Forwarder;
  readonly #watchers = new Set<Watcher>();
  #last: PageEvent | null = null;
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #isClosed = false;

  constructor(forwarder: Forwarder) {
    this.#forwarder = forwarder;
  }

  /** Returns what ends it. */
  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    if (this.#last !== null) watcher(this.#last);
    void this.#look();
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size > 0) return;
      clearTimeout(this.#timer);
      this.#last = null;
    };
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    clearTimeout(this.#timer);
    // Null is a controller that is gone, or has nothing to show to this server.
    const cluster = await askJson(this.#forwarder, "/cluster").catch(() => null);
    this.#isLooking = false;
    if (this.#isClosed || this.#watchers.size === 0) return;
    const event: PageEvent = { type: "cluster", cluster };
    this.#last = event;
    for (const watcher of this.#watchers) watcher(event);
    this.#timer = setTimeout(() => void this.#look(), PAUSE_MS).unref();
  }
}
