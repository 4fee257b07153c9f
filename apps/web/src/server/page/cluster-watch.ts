/** Asks the controller for its state once a second while a page watches it, and sends it to all pages that do. */
import { SERIES_NAMES, type Cluster, type PageEvent, type SeriesName } from "@llava/protocol";

import { askJson } from "../upstream/ask-json.ts";
import type { Forwarder } from "../upstream/forward.ts";

type Watcher = (event: PageEvent) => void;
/** End times of the series that a watcher has received, by their names. */
type Seen = Map<SeriesName, number>;

const PAUSE_MS = 1_000;

export class ClusterWatch implements Disposable {
  readonly #forwarder: Forwarder;
  readonly #watchers = new Map<Watcher, Seen>();
  #last: Cluster | null | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #isClosed = false;

  constructor(forwarder: Forwarder) {
    this.#forwarder = forwarder;
  }

  /** Returns a function that ends it. */
  watch(watcher: Watcher): () => void {
    this.#watchers.set(watcher, new Map());
    if (this.#last !== undefined) this.#send(watcher, this.#last);
    void this.#look();
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size > 0) return;
      clearTimeout(this.#timer);
      this.#last = undefined;
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
    // Null stands for a controller that is gone or does not show its state to this server.
    const body = await askJson(this.#forwarder, "/cluster").catch(() => null);
    this.#isLooking = false;
    if (this.#isClosed || this.#watchers.size === 0) return;
    this.#last = isCluster(body) ? body : null;
    for (const watcher of this.#watchers.keys()) this.#send(watcher, this.#last);
    this.#timer = setTimeout(() => void this.#look(), PAUSE_MS).unref();
  }

  /** Sends only the series that have changed, so that a day of minutes is sent once a minute and not once a second. */
  #send(watcher: Watcher, cluster: Cluster | null): void {
    if (cluster === null) return watcher({ type: "cluster", cluster });
    const seen: Seen = this.#watchers.get(watcher) ?? new Map();
    const isNew = (name: SeriesName): boolean => seen.get(name) !== cluster.series[name].end_ms;
    const news = SERIES_NAMES.filter(isNew);
    for (const name of news) seen.set(name, cluster.series[name].end_ms);
    const series = Object.fromEntries(news.map((name) => [name, cluster.series[name]]));
    watcher({ type: "cluster", cluster: { ...cluster, series } });
  }
}

/** Checks only the parts that this server reads. */
function isCluster(body: unknown): body is Cluster {
  if (typeof body !== "object" || body === null || !("series" in body)) return false;
  const { series } = body;
  return typeof series === "object" && series !== null && SERIES_NAMES.every((name) => name in series);
}
