/** Asks the controller for its models while a page is connected, once for all pages. */
import { parseModelList, parseWorkerList, toLlavaError } from "@llava/protocol";
import type { ModelCard, PageEvent, PageModel, WorkerList } from "@llava/protocol";

import { askJson } from "../upstream/ask-json.ts";
import type { Forwarder } from "../upstream/forward.ts";
import { pageError } from "./page-stream.ts";

type ModelsEvent = Extract<PageEvent, { type: "models" }>;

const CALM_MS = 5_000;
/** Interval while no model is ready, milliseconds; users wait for one. */
const EAGER_MS = 1_500;

export class ModelWatch implements Disposable {
  readonly #forwarder: Forwarder;
  readonly #watchers = new Set<(event: PageEvent) => void>();
  #last: ModelsEvent | null = null;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | null = null;
  #isClosed = false;

  constructor(forwarder: Forwarder) {
    this.#forwarder = forwarder;
  }

  /** Sends the last list at once, then every changed one. Returns a function that ends it. */
  watch(watcher: (event: PageEvent) => void): () => void {
    this.#watchers.add(watcher);
    if (this.#last !== null) watcher(this.#last);
    void this.look();
    return () => void this.#watchers.delete(watcher);
  }

  /** Asks now, and then regularly while a page is connected; called after a failed answer too. */
  async look(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => (this.#looking = null));
    await this.#looking;
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #lookOnce(): Promise<void> {
    clearTimeout(this.#timer);
    const next = await this.#ask();
    if (this.#isClosed) return;
    const isNew = JSON.stringify(next) !== JSON.stringify(this.#last);
    this.#last = next;
    if (isNew) for (const watcher of this.#watchers) watcher(next);
    if (this.#watchers.size === 0) return;
    const isCalm = next.models.some(({ state }) => state === "ready");
    this.#timer = setTimeout(() => void this.look(), isCalm ? CALM_MS : EAGER_MS).unref();
  }

  async #ask(): Promise<ModelsEvent> {
    const known = this.#last?.models ?? [];
    try {
      const [cards, workers] = await Promise.all([this.#cards(), this.#workers()]);
      return { type: "models", models: merged(known, cards, workers), problem: null };
    } catch (thrown) {
      return { type: "models", models: merged(known, [], null), problem: pageError(toLlavaError(thrown)) };
    }
  }

  async #cards(): Promise<readonly ModelCard[]> {
    const body = await askJson(this.#forwarder, "/v1/models");
    return parseModelList(body).data;
  }

  /** Null where the controller does not list its workers to this server. */
  async #workers(): Promise<WorkerList | null> {
    try {
      return parseWorkerList(await askJson(this.#forwarder, "/workers"));
    } catch {
      return null;
    }
  }
}

/** All models that were listed before with their present state, followed by the new ones. */
function merged(
  known: readonly PageModel[],
  served: readonly ModelCard[],
  workers: WorkerList | null,
): readonly PageModel[] {
  const cards = new Map(served.map((card) => [card.id, card]));
  const before = known.filter(({ card }) => !cards.has(card.id));
  const gone = before.map((model): PageModel => ({ ...model, state: "gone", numWorkers: 0, queue: null }));
  const order = new Map(known.map(({ card }, index) => [card.id, index]));
  const now = served.map((card) => pageModel(card, workers));
  const rank = ({ card }: PageModel): number => order.get(card.id) ?? order.size;
  return [...gone, ...now].toSorted((a, b) => rank(a) - rank(b));
}

function pageModel(card: ModelCard, workers: WorkerList | null): PageModel {
  const mine = workers?.data.filter(({ models }) => models.includes(card.id)) ?? [];
  const known = mine.flatMap(({ running, waiting }) =>
    running === null || waiting === null ? [] : [running + waiting],
  );
  return {
    card,
    state: mine.length > 0 && mine.every(({ state }) => state === "draining") ? "draining" : "ready",
    numWorkers: workers === null ? 1 : mine.length,
    queue: known.length === 0 ? null : known.reduce((sum, count) => sum + count, 0),
  };
}
