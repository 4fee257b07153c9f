/** Assembles the cluster's state from events, which bring a series of figures only when it has grown. */
import type { Cluster, PageCluster } from "@llava/protocol/browser";
import { effect, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import type { ClusterUpdate } from "../../state/app.ts";
import { sentenceOf } from "./event-sentence.ts";

const TICK_MS = 1_000;

export class ClusterState {
  /** Undefined before the first event; null where the controller does not show the cluster to this page. */
  readonly #shown: Signal<Cluster | null | undefined> = signal(undefined);
  readonly #ageS: Signal<number> = signal(0);
  readonly isPaused: Signal<boolean> = signal(false);
  /** Sentence about the last event since the page was opened, for screen readers. */
  readonly #announcement: Signal<string> = signal("");
  #series: Partial<Cluster["series"]> = {};
  #takenMs = performance.now();
  #lastEvent: number | null = null;

  get shown(): ReadonlySignal<Cluster | null | undefined> {
    return this.#shown;
  }

  /** Seconds since the shown state arrived. */
  get ageS(): ReadonlySignal<number> {
    return this.#ageS;
  }

  get announcement(): ReadonlySignal<string> {
    return this.#announcement;
  }

  /** Returns a function that ends it. */
  follow(updates: ReadonlySignal<ClusterUpdate | null>): () => void {
    const stop = effect(() => {
      const { cluster } = updates.value ?? {};
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
    this.#announce(cluster);
    this.#shown.value = { ...cluster, series: { "5m": minutes, "1h": hour, "24h": day } };
  }

  #announce({ events }: PageCluster): void {
    const [newest] = events;
    if (this.#lastEvent !== null && newest !== undefined && newest.id > this.#lastEvent)
      this.#announcement.value = sentenceOf(newest);
    this.#lastEvent = newest?.id ?? 0;
  }

  #tick(): void {
    this.#ageS.value = Math.round((performance.now() - this.#takenMs) / 1_000);
  }
}
