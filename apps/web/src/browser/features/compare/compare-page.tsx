/**
 * Compares the answers of two models, or of one model with two settings, to the same question; loaded when the user
 * opens it.
 */
import { useEffect, useMemo } from "preact/hooks";
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import { QuestionField } from "../chat/question-field.tsx";
import { ImageIcon, SendIcon } from "../../ui/icons.tsx";
import { Attachments } from "../attachments/attachments.tsx";
import { TEXTS } from "../../ui/texts.ts";
import { Comparison } from "./comparison.ts";
import { RoundView } from "./round-view.tsx";
import { Scoreboard } from "./scoreboard.tsx";
import { SidePicker } from "./side-picker.tsx";
import "../../styles/compare.css";

interface Props {
  readonly app: App;
}

export function ComparePage({ app }: Props): JSX.Element {
  const comparison = useMemo(() => new Comparison(app), [app]);
  useEffect(() => void comparison.load(), [comparison]);
  const rounds = comparison.rounds.value;
  const isBlind = comparison.isBlind.value;
  return (
    <>
      <main class="scroll">
        <div class="column compare">
          <h2>{TEXTS.compare.title}</h2>
          <fieldset class="compare-modes">
            <legend class="unseen">{TEXTS.compare.how}</legend>
            <label>
              <input
                type="radio"
                name="compare-mode"
                checked={!isBlind}
                onChange={() => (comparison.isBlind.value = false)}
              />
              {TEXTS.compare.open}
            </label>
            <label>
              <input
                type="radio"
                name="compare-mode"
                checked={isBlind}
                onChange={() => (comparison.isBlind.value = true)}
              />
              {TEXTS.compare.blind}
            </label>
          </fieldset>
          {isBlind ? (
            <p class="soft">{TEXTS.compare.blindHint}</p>
          ) : (
            <div class="pickers">
              <SidePicker app={app} comparison={comparison} index={0} />
              <SidePicker app={app} comparison={comparison} index={1} />
            </div>
          )}
          {rounds.map((round, index) => (
            <RoundView key={round.id} app={app} comparison={comparison} round={round} isLast={index === 0} />
          ))}
          <Scoreboard rounds={rounds} />
        </div>
      </main>
      <Ask app={app} comparison={comparison} />
    </>
  );
}

function Ask({ app, comparison }: Props & { readonly comparison: Comparison }): JSX.Element {
  const canAsk = !comparison.isAnswering && app.models.canAsk.value && app.draft.text.value.trim() !== "";
  const choose = (event: Event): void => {
    const input = event.currentTarget;
    if (input instanceof HTMLInputElement) void app.draft.takeFiles([...(input.files ?? [])]);
  };
  return (
    <footer class="composer">
      <div class="column">
        <form
          class="card"
          onSubmit={(event) => {
            event.preventDefault();
            void comparison.ask();
          }}
        >
          <Attachments app={app} />
          {app.draft.problem.value && <p class="draft-problem">{app.draft.problem}</p>}
          <div class="card-row">
            <label class="round-button choose" title={TEXTS.composer.choose}>
              <ImageIcon />
              <span class="unseen">{TEXTS.composer.choose}</span>
              <input class="unseen" type="file" accept="image/*" multiple onChange={choose} />
            </label>
            <QuestionField app={app} send={() => void comparison.ask()} />
            <button
              type="submit"
              class="send"
              aria-label={TEXTS.composer.send}
              title={TEXTS.composer.send}
              aria-disabled={!canAsk}
            >
              <SendIcon />
            </button>
          </div>
        </form>
      </div>
    </footer>
  );
}
