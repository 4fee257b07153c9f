/** Shows one of the two answers of a round, and the tabs by which a narrow window shows only one of them. */
import { computed, useSignalEffect } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";

import { isOver } from "../../state/chat/answers.ts";
import type { AnswerState } from "../../services/store/records.ts";
import { Markdown } from "../../markdown/markdown-view.tsx";
import { TEXTS } from "../../ui/texts.ts";
import { timingsLine } from "../chat/timings-line.ts";
import type { Comparison } from "./comparison.ts";
import type { Round } from "../../services/store/round.ts";

export interface SideProps {
  readonly comparison: Comparison;
  readonly round: Round;
  /** Whether this is the newest round, whose answers may be running. */
  readonly isLast: boolean;
  readonly index: 0 | 1;
}

interface SideNow {
  readonly state: AnswerState;
  readonly text: ReadonlySignal<string>;
}

/** State and text of a side: of the running answer, otherwise of the stored one. */
function useSide({ comparison, round, isLast, index }: SideProps): SideNow {
  const answer = isLast ? comparison.answers[index].value : null;
  const side = round.sides[index];
  const text = useMemo(() => computed(() => answer?.text.value || side.text), [answer, side.text]);
  return { state: answer?.state.value ?? side.state, text };
}

export function SideView(props: SideProps): JSX.Element {
  const { comparison, round, isLast, index } = props;
  const { state, text } = useSide(props);
  const side = round.sides[index];
  const isDone = useMemo(() => computed(() => isOver(state)), [state]);
  const isHidden = round.isBlind && round.vote === null;
  const name = TEXTS.compare.sides[index];
  return (
    <section
      class="side answer"
      data-progress={state.kind}
      aria-label={isHidden ? name : `${name}: ${side.model}`}
    >
      <h4 class="answerer">
        {name}
        {!isHidden && ` · ${side.model} · ${TEXTS.compare.at(side.settings.temperature)}`}
      </h4>
      <Markdown text={text} isDone={isDone} />
      {(state.kind === "sending" || state.kind === "progress") && (
        <p class="waiting">
          <span class="ember" aria-hidden="true" />
          {TEXTS.progress.thinking}
        </p>
      )}
      {state.kind === "failed" && <p class="failure">{state.failure.message}</p>}
      {state.kind === "stopped" && <p class="stopped">{TEXTS.turn.stopped}</p>}
      {/* The speed of an answer would give its model away. */}
      {state.kind === "finished" && !isHidden && <p class="timings">{timingsLine(state)}</p>}
      {!isOver(state) && isLast && (
        <button type="button" class="text-button" onClick={() => comparison.stop(index)}>
          {TEXTS.compare.stop(name)}
        </button>
      )}
    </section>
  );
}

interface TabProps extends SideProps {
  readonly shown: Signal<0 | 1>;
}

/** A tab, for windows with room for one answer only. A dot marks an answer with words that were not shown yet. */
export function SideTab({ shown, ...props }: TabProps): JSX.Element {
  const { text } = useSide(props);
  const seen = useRef("");
  const isShown = shown.value === props.index;
  useSignalEffect(() => {
    if (shown.value === props.index) seen.current = text.value;
  });
  const hasNews = !isShown && text.value !== seen.current;
  return (
    <button type="button" aria-pressed={isShown} onClick={() => (shown.value = props.index)}>
      {TEXTS.compare.sides[props.index]}
      {hasNews && (
        <>
          <i aria-hidden="true" />
          <span class="unseen">, {TEXTS.compare.news}</span>
        </>
      )}
    </button>
  );
}
