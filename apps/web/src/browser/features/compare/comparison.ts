/** Holds the rounds of comparisons and asks for the two answers of a new round. */
import { batch, effect, signal } from "@preact/signals";
import type { Signal } from "@preact/signals";

import type { App } from "../../state/app.ts";
import { isOver } from "../../state/chat/answers.ts";
import type { Answer } from "../../state/chat/answers.ts";
import { newId } from "../../state/chat/new-id.ts";
import type { Settings, UserMessage } from "../../services/store/records.ts";
import { isReady } from "../../state/models/available-models.ts";
import { postVote } from "../../services/wire/page-api.ts";
import type { ComparisonVote, Round, Side } from "../../services/store/round.ts";

export interface Choice {
  /** Id of the model; null takes the first that is ready, and for the right side the second. */
  readonly model: string | null;
  readonly temperature: number;
}

/** Interval at which growing answers are stored, milliseconds. */
const WRITE_MS = 1_000;

export class Comparison {
  readonly isBlind: Signal<boolean> = signal(false);
  readonly choices: readonly [Signal<Choice>, Signal<Choice>];
  /** All rounds, the newest first. */
  readonly rounds: Signal<readonly Round[]> = signal([]);
  /** Running answers of the newest round by side; null when an answer has ended. */
  readonly answers: readonly [Signal<Answer | null>, Signal<Answer | null>] = [signal(null), signal(null)];
  readonly #app: App;

  constructor(app: App) {
    this.#app = app;
    const { temperature } = app.chat.settings.peek();
    this.choices = [signal({ model: null, temperature }), signal({ model: null, temperature })];
  }

  /** Loads the stored rounds and resumes answers that are still being generated. */
  async load(): Promise<void> {
    const rounds = await this.#app.store.rounds();
    this.rounds.value = rounds.toSorted((a, b) => b.createdMs - a.createdMs);
    const [last] = this.rounds.value;
    if (last === undefined) return;
    let isResumed = false;
    for (const index of [0, 1] as const) {
      const { stream } = last.sides[index];
      if (stream === null) continue;
      isResumed = true;
      this.#follow(last.id, index, this.#app.answers.resume(stream));
    }
    // Only a new connection brings the text that was generated in the meantime.
    if (isResumed) this.#app.events.reconnectFromStart();
  }

  get isAnswering(): boolean {
    return this.answers.some(({ value }) => value !== null);
  }

  /** Id of the model that a side asks; null when there is none. */
  modelOf(index: 0 | 1): string | null {
    const ready = (this.#app.models.list.value ?? []).filter(isReady).map(({ card }) => card.id);
    return this.choices[index].value.model ?? ready[index] ?? ready[0] ?? null;
  }

  async ask(): Promise<void> {
    const { draft, chat } = this.#app;
    await draft.settled();
    const pair = this.isBlind.peek() ? this.#drawPair() : ([this.modelOf(0), this.modelOf(1)] as const);
    const [left, right] = pair;
    if (left === null || right === null || draft.text.peek().trim() === "" || this.isAnswering) return;
    const { text, images } = draft.give();
    const settings = (index: 0 | 1): Settings =>
      this.isBlind.peek()
        ? chat.settings.peek()
        : { ...chat.settings.peek(), temperature: this.choices[index].peek().temperature };
    const side = (model: string, index: 0 | 1): Side => ({
      model,
      settings: settings(index),
      text: "",
      state: { kind: "sending" },
      stream: null,
      migrations: 0,
    });
    const round: Round = {
      id: newId(),
      createdMs: Date.now(),
      isBlind: this.isBlind.peek(),
      text,
      images,
      sides: [side(left, 0), side(right, 1)],
      vote: null,
    };
    this.rounds.value = [round, ...this.rounds.peek()];
    await this.#app.store.putRound(round);
    this.#ask(round, 0);
    this.#ask(round, 1);
  }

  stop(index: 0 | 1): void {
    this.answers[index].peek()?.stop();
  }

  /** Stores a vote and sends it to the server; allowed from the first word on. */
  async vote(id: string, vote: ComparisonVote): Promise<void> {
    const round = this.rounds.peek().find((each) => each.id === id);
    if (round === undefined || round.vote !== null) return;
    this.#change(id, (before) => ({ ...before, vote }));
    const conversation = (index: 0 | 1) => [
      { role: "user", text: round.text, images: round.images.map(({ key }) => key) } as const,
      { role: "assistant", text: this.textOf(round, index), images: [] } as const,
    ];
    const models = round.sides.map(({ model }) => model);
    await postVote({ type: vote, models, conversations: [conversation(0), conversation(1)] }).catch(
      () => false,
    );
  }

  textOf(round: Round, index: 0 | 1): string {
    const isCurrent = this.rounds.peek()[0]?.id === round.id;
    return (isCurrent ? this.answers[index].peek()?.text.peek() : undefined) ?? round.sides[index].text;
  }

  /** Two different ready models in random order; the same one twice where there is only one. */
  #drawPair(): readonly [string | null, string | null] {
    const ready = (this.#app.models.list.peek() ?? []).filter(isReady).map(({ card }) => card.id);
    const order = ready
      .map((id) => ({ id, rank: Math.random() }))
      .toSorted((a, b) => a.rank - b.rank)
      .map(({ id }) => id);
    return [order[0] ?? null, order[1] ?? order[0] ?? null];
  }

  #ask(round: Round, index: 0 | 1): void {
    const { model, settings } = round.sides[index];
    const question: UserMessage = {
      role: "user",
      id: round.id,
      conversationId: round.id,
      parentId: null,
      createdMs: round.createdMs,
      text: round.text,
      images: round.images,
    };
    const answer = this.#app.answers.start({ model, path: [question], settings }, () =>
      this.#write(round.id, index, answer),
    );
    this.#follow(round.id, index, answer);
  }

  #follow(id: string, index: 0 | 1, answer: Answer): void {
    this.answers[index].value = answer;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = effect(() => {
      const state = answer.state.value;
      void answer.text.value;
      if (!isOver(state)) {
        timer ??= setTimeout(() => {
          timer = undefined;
          this.#write(id, index, answer);
        }, WRITE_MS);
        return;
      }
      clearTimeout(timer);
      queueMicrotask(() => {
        end();
        batch(() => {
          this.#write(id, index, answer);
          this.answers[index].value = null;
        });
      });
    });
  }

  #write(id: string, index: 0 | 1, answer: Answer): void {
    const state = answer.state.peek();
    this.#change(id, (round) => {
      const sides: [Side, Side] = [...round.sides];
      sides[index] = {
        ...sides[index],
        text: answer.text.peek() || sides[index].text,
        state,
        stream: isOver(state) ? null : answer.stream,
        migrations: answer.migrations.peek(),
      };
      return { ...round, sides };
    });
  }

  #change(id: string, change: (round: Round) => Round): void {
    this.rounds.value = this.rounds.peek().map((round) => {
      if (round.id !== id) return round;
      const changed = change(round);
      void this.#app.store.putRound(changed);
      return changed;
    });
  }
}
