/** Holds the models that the server lists, and the user's choice among them. */
import type { PageError, PageEvent, PageModel } from "@llava/protocol/browser";
import { computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

const CHOSEN = "llava.model";

export class Models {
  /** Every model that the server has listed since it started; null before the first list. */
  readonly list: Signal<readonly PageModel[] | null> = signal(null);
  /** Error that keeps the server from listing models. */
  readonly problem: Signal<PageError | null> = signal(null);
  readonly #chosen: Signal<string | null> = signal(localStorage.getItem(CHOSEN));
  /** The chosen model; without a choice, or when the chosen one was never listed, the first that is ready. */
  readonly selected: ReadonlySignal<PageModel | null> = computed(() => {
    const models = this.list.value ?? [];
    const chosen = models.find(({ card }) => card.id === this.#chosen.value);
    return chosen ?? models.find(isReady) ?? models[0] ?? null;
  });
  readonly canAsk: ReadonlySignal<boolean> = computed(() => this.selected.value !== null);

  choose(id: string): void {
    this.#chosen.value = id;
    localStorage.setItem(CHOSEN, id);
  }

  take({ models, problem }: Extract<PageEvent, { type: "models" }>): void {
    this.list.value = models;
    this.problem.value = problem;
  }
}

export function isReady({ state }: PageModel): boolean {
  return state === "ready";
}
