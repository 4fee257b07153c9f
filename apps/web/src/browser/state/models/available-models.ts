/** Which models can be asked right now, as the server tells, and which one is chosen. */
import type { PageError, PageEvent, PageModel } from "@llava/protocol/browser";
import { computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

const CHOSEN = "llava.model";

export class Models {
  /** Every model that the server has seen; null until it first tells. */
  readonly list: Signal<readonly PageModel[] | null> = signal(null);
  /** Why the server does not know. */
  readonly problem: Signal<PageError | null> = signal(null);
  readonly #chosen: Signal<string | null> = signal(localStorage.getItem(CHOSEN));
  /** The chosen model; without a choice, and when the chosen one was never seen, the first that is ready. */
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
