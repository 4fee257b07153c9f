/** The cluster as it was last told, whole again: rows of figures come only when they have grown. */
import type { Cluster, PageCluster } from "@llava/protocol/browser";
import { effect, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import type { ClusterNews } from "../../state/app.ts";
import { sentenceOf } from "./event-sentence.ts";

const TICK_MS = 1_000;

export class ClusterState {
  /** Undefined before anything was told, null where nothing is. */
  readonly #shown: Signal<Cluster | null | undefined> = signal(undefined);
  readonly #ageS: Signal<number> = signal(0);
  readonly isPaused: Signal<boolean> = signal(false);
  /** The last event that came while one watched, for screen readers. */
  readonly #news: Signal<string> = signal("");
  #series: Partial<Cluster["series"]> = {};
  #takenMs = performance.now();
  #lastEvent: number | null = null;

  get shown(): ReadonlySignal<Cluster | null | undefined> {
    return this.#shown;
  }

  /** Seconds since what is shown was told. */
  get ageS(): ReadonlySignal<number> {
    return this.#ageS;
  }

  get news(): ReadonlySignal<string> {
    return this.#news;
  }

  /** Returns what ends it. */
  follow(told: ReadonlySignal<ClusterNews | null>): () => void {
    const stop = effect(() => {
      const { cluster } = told.value ?? {};
      if (cluster !== undefined) this.#take(cluster);
    });
    const timer = setInterval(() => this.#tick(), TICK_MS);
    return () => {
      stop();
      clearInterval(timer);
    };
  }

  #take(cluster: PageCluster | null): void {
    if (cluster === null) return void (this.#shown.value = null);
    this.#series = { ...this.#series, ...cluster.series };
    if (this.isPaused.value) return;
    const { "5m": minutes, "1h": hour, "24h": day } = this.#series;
    if (!minutes || !hour || !day) return;
    this.#takenMs = performance.now();
    this.#ageS.value = 0;
    this.#tell(cluster);
    this.#shown.value = { ...cluster, series: { "5m": minutes, "1h": hour, "24h": day } };
  }

  #tell({ events }: PageCluster): void {
    const [newest] = events;
    if (this.#lastEvent !== null && newest !== undefined && newest.id > this.#lastEvent)
      this.#news.value = sentenceOf(newest);
    this.#lastEvent = newest?.id ?? 0;
  }

  #tick(): void {
    this.#ageS.value = Math.round((performance.now() - this.#takenMs) / 1_000);
  }
}
