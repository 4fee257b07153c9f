/** Holds the state of an answer's heat map: the chosen word and image, and the occlusion map with its progress. */
import type { OcclusionMapBody, OcclusionMapEvent, OcclusionMapResult } from "@llava/protocol/browser";
import { computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import type { App } from "../../state/app.ts";
import { toMessages } from "../../state/chat/chat-request-body.ts";
import type { AssistantMessage, Failure, Message, ImageRef } from "../../services/store/records.ts";
import { openStream, RequestFailed } from "../../services/wire/page-api.ts";
import type { Piece } from "./answer-words.ts";

export type MapProgress =
  | { readonly kind: "idle" }
  | { readonly kind: "computing"; readonly done: number; readonly total: number }
  | { readonly kind: "map"; readonly map: OcclusionMapResult }
  | { readonly kind: "failed"; readonly failure: Failure };

/** Most maps that are kept while the page is open; a map is some hundred numbers. */
const MAX_KEPT = 200;
const kept = new Map<string, OcclusionMapResult>();

export class HeatMapState {
  readonly #app: App;
  readonly #message: AssistantMessage;
  readonly #path: readonly Message[];
  readonly answer: string;
  readonly images: readonly ImageRef[];
  readonly word: Signal<Piece | null> = signal(null);
  readonly imageIndex: Signal<number>;
  readonly #state: Signal<MapProgress> = signal({ kind: "idle" });
  #computing: AbortController | null = null;

  /** @param path the messages from the first one to the answer */
  constructor(app: App, path: readonly Message[]) {
    const message = path.at(-1);
    if (message?.role !== "assistant") throw new TypeError("There is no answer at the end of the path.");
    this.#app = app;
    this.#message = message;
    this.#path = path.slice(0, -1);
    this.answer = message.text;
    this.images = this.#path.flatMap((each) => (each.role === "user" ? each.images : []));
    this.imageIndex = signal(this.images.length - 1);
  }

  get state(): ReadonlySignal<MapProgress> {
    return this.#state;
  }

  readonly image: ReadonlySignal<ImageRef | undefined> = computed(() => this.images[this.imageIndex.value]);

  chooseImage(index: number): void {
    this.imageIndex.value = index;
    if (this.word.peek() !== null) this.#compute();
  }

  choose(word: Piece): void {
    this.word.value = word;
    this.#compute();
  }

  /** Aborts the computation of a map. */
  cancel(): void {
    this.#computing?.abort();
    this.#computing = null;
    if (this.#state.peek().kind === "computing") this.#state.value = { kind: "idle" };
  }

  #compute(): void {
    this.cancel();
    const word = this.word.peek();
    if (word === null) return;
    const key = JSON.stringify([this.#message.id, this.answer, word.start, this.imageIndex.peek()]);
    const known = kept.get(key);
    if (known !== undefined) return void (this.#state.value = { kind: "map", map: known });
    const computing = new AbortController();
    this.#computing = computing;
    this.#state.value = { kind: "computing", done: 0, total: 1 };
    void this.#ask(word, key, computing.signal);
  }

  async #ask(word: Piece, key: string, signal: AbortSignal): Promise<void> {
    try {
      const keys = [...new Set(this.images.map((image) => image.key))];
      await this.#app.uploads.ensure(keys, signal);
      const body = JSON.stringify(this.#body(word));
      for await (const data of openStream("/v1/occlusion_maps", body, signal)) {
        const event = data as OcclusionMapEvent;
        if (event.type === "progress")
          this.#state.value = { kind: "computing", done: event.done, total: event.total };
        else this.#keep(key, event);
      }
      if (this.#state.peek().kind === "computing" && !signal.aborted) throw new Error("It has no end.");
    } catch (thrown) {
      if (signal.aborted) return;
      if (thrown instanceof RequestFailed && thrown.failure.code === "blob_missing")
        this.#app.uploads.forget();
      this.#state.value = { kind: "failed", failure: failureOf(thrown) };
    }
  }

  #keep(key: string, map: OcclusionMapResult): void {
    const [oldest] = kept.size < MAX_KEPT ? [] : kept.keys();
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(key, map);
    this.#state.value = { kind: "map", map };
  }

  #body({ start, text }: Piece): OcclusionMapBody {
    const { model, settings } = this.#message;
    return {
      model,
      messages: toMessages(this.#path, settings.system),
      answer: this.answer,
      start,
      end: start + text.length,
      image: this.imageIndex.peek(),
      ...(settings.template === null ? {} : { conversation_template: settings.template }),
    };
  }
}

function failureOf(thrown: unknown): Failure {
  if (thrown instanceof RequestFailed) return thrown.failure;
  const message = "The map was not computed to its end. Choose the word again.";
  return { code: "worker_lost", message, isRetryable: true, retryAfterMs: null };
}
