/** Everything the page knows, and the few things one can do with all of it; apart so that views only show and call. */
import { computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import { Conversation } from "./conversation.ts";
import { Draft } from "./draft.ts";
import { Models } from "./models.ts";
import { createParameters } from "./parameters.ts";
import type { ParameterValues } from "./parameters.ts";
import { loadSamples } from "./samples.ts";
import type { Sample } from "./samples.ts";

export class PageState {
  readonly models = new Models();
  readonly conversation = new Conversation();
  readonly draft = new Draft();
  readonly parameters: Signal<ParameterValues> = createParameters();
  readonly samples: Signal<readonly Sample[]> = signal([]);
  /** Read out by screen readers: what is going on, and each answer once, when it is whole. */
  readonly status: Signal<string> = signal("");
  readonly spokenAnswer: Signal<string> = signal("");
  readonly canAsk: ReadonlySignal<boolean> = computed(
    () =>
      this.models.selected.value !== null &&
      !this.conversation.isAnswering.value &&
      !this.draft.isReading.value,
  );
  /** Questions that go with the sample in play and were not asked yet. */
  readonly suggestions: ReadonlySignal<readonly string[]> = computed(() => {
    const turns = this.conversation.turns.value;
    const picture = this.draft.picture.value ?? turns.findLast(({ picture }) => picture !== null)?.picture;
    const asked = new Set(
      turns
        .filter((turn) => turn.picture?.sample === picture?.sample || !turn.picture)
        .map(({ question }) => question),
    );
    return (picture?.sample?.questions ?? []).filter((question) => !asked.has(question));
  });

  start(): void {
    this.models.watch();
    void loadSamples().then((samples) => (this.samples.value = samples));
  }

  /** Sends what is typed; what cannot be sent stays. */
  async sendDraft(): Promise<void> {
    const text = this.draft.text.value.trim();
    if (text === "" || !this.canAsk.value) return;
    this.draft.text.value = "";
    await this.ask(text);
  }

  /** Sends a question with the attached picture; typed words stay. */
  async ask(text: string): Promise<void> {
    const model = this.models.selected.value;
    if (!model || !this.canAsk.value) return;
    const picture = this.draft.picture.value;
    this.draft.removePicture();
    const parameters = this.parameters.value;
    await this.#tell(this.conversation.ask({ model: model.card.id, text, picture, parameters }));
  }

  async retry(): Promise<void> {
    const model = this.models.selected.value;
    if (model) await this.#tell(this.conversation.retry(model.card.id, this.parameters.value));
  }

  startOver(): void {
    this.conversation.clear();
    this.status.value = "New conversation.";
  }

  async #tell(ending: Promise<unknown>): Promise<void> {
    const turn = this.conversation.turns.value.at(-1);
    this.status.value = "The answer is on its way.";
    await ending;
    const progress = turn?.progress.value;
    // Left for a new conversation: nothing to say any more.
    if (!turn || !progress || !this.conversation.turns.value.includes(turn)) return;
    if (progress.kind === "stopped") this.status.value = "Stopped.";
    if (progress.kind === "failed") this.status.value = progress.error.message;
    if (progress.kind === "failed") await this.models.refresh();
    if (progress.kind !== "finished") return;
    this.status.value = "The answer is complete.";
    this.spokenAnswer.value = turn.answer.value;
  }
}
