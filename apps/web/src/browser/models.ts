/** Which models can be asked right now, kept fresh by itself; apart because workers come and go while the page is open. */
import { LlavaError, parseModelList } from "@llava/protocol";
import type { ModelCard } from "@llava/protocol";
import { computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import { refusal, unreachable } from "./ask.ts";

export interface Model {
  readonly card: ModelCard;
  /** Whether a worker serves it at this moment. */
  readonly isReady: boolean;
}

const CALM_INTERVAL_MS = 5_000;
/** While nothing can be asked, somebody is waiting. */
const EAGER_INTERVAL_MS = 1_500;
const TIMEOUT_MS = 8_000;

export class Models {
  /** Every model seen since the page was opened, in the order in which they came; null until the first answer. */
  readonly list: Signal<readonly Model[] | null> = signal(null);
  /** Why the last look failed. */
  readonly problem: Signal<LlavaError | null> = signal(null);
  readonly #chosen: Signal<string | null> = signal(null);
  /** The chosen model; without a choice, and when the chosen one was never seen, the first that is ready. */
  readonly selected: ReadonlySignal<Model | null> = computed(() => {
    const models = this.list.value ?? [];
    const chosen = models.find(({ card }) => card.id === this.#chosen.value);
    return chosen ?? models.find(({ isReady }) => isReady) ?? models[0] ?? null;
  });
  #timer: ReturnType<typeof setTimeout> | undefined;

  choose(id: string): void {
    this.#chosen.value = id;
  }

  /** Looks now and then again and again, as long as the page can be seen. */
  watch(): void {
    document.addEventListener("visibilitychange", () => void this.refresh());
    void this.refresh();
  }

  async refresh(): Promise<void> {
    clearTimeout(this.#timer);
    if (document.visibilityState === "hidden") return;
    this.#take(await fetchModels());
    clearTimeout(this.#timer);
    const interval = this.selected.value?.isReady ? CALM_INTERVAL_MS : EAGER_INTERVAL_MS;
    this.#timer = setTimeout(() => void this.refresh(), interval);
  }

  #take(answer: readonly ModelCard[] | LlavaError): void {
    const isProblem = answer instanceof LlavaError;
    const next = merged(this.list.value ?? [], isProblem ? [] : answer);
    this.problem.value = isProblem ? answer : null;
    // The same list again changes nothing on the page.
    if (JSON.stringify(next) !== JSON.stringify(this.list.value)) this.list.value = next;
  }
}

/** All models known before, with what is served now; new ones at the end. */
export function merged(known: readonly Model[], served: readonly ModelCard[]): readonly Model[] {
  const cards = new Map(served.map((card) => [card.id, card]));
  const before = known.map(({ card }) => ({ card: cards.get(card.id) ?? card, isReady: cards.has(card.id) }));
  const ids = new Set(known.map(({ card }) => card.id));
  const added = [...cards.values()].filter(({ id }) => !ids.has(id));
  return [...before, ...added.map((card) => ({ card, isReady: true }))];
}

async function fetchModels(): Promise<readonly ModelCard[] | LlavaError> {
  try {
    const response = await fetch("/v1/models", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return response.ok ? parseModelList(await response.json()).data : await refusal(response);
  } catch (thrown) {
    return thrown instanceof LlavaError ? thrown : unreachable(thrown);
  }
}
