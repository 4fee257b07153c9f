/** A question, its two answers, and what one thinks of them. */
import { computed } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { JSX } from "preact";

import type { App } from "../app.ts";
import { isOver } from "../chat/answer.ts";
import { Markdown } from "../markdown/markdown-view.tsx";
import { StoredPicture } from "../pictures/stored-picture.tsx";
import { TEXTS } from "../texts.ts";
import { timingsLine } from "../timings-line.ts";
import type { Comparison } from "./comparison.ts";
import type { ComparisonVote, Round } from "./round.ts";

interface Props {
  readonly app: App;
  readonly comparison: Comparison;
  readonly round: Round;
  /** The one that may be under way. */
  readonly isLast: boolean;
}

const VOTES: readonly ComparisonVote[] = ["leftvote", "rightvote", "tievote", "bothbad_vote"];

export function RoundView({ app, comparison, round, isLast }: Props): JSX.Element {
  return (
    <article class="round" aria-label={round.text}>
      <div class="question">
        <div class="pictures">
          {round.pictures.map((picture) => (
            <StoredPicture
              key={picture.key}
              picture={picture}
              urls={app.urls}
              alt={picture.alt ?? picture.name}
            />
          ))}
        </div>
        <div class="question-line">
          <h3>{round.text}</h3>
        </div>
      </div>
      <div class="sides">
        <SideView comparison={comparison} round={round} isLast={isLast} index={0} />
        <SideView comparison={comparison} round={round} isLast={isLast} index={1} />
      </div>
      <Votes comparison={comparison} round={round} isLast={isLast} />
    </article>
  );
}

type SideProps = Omit<Props, "app"> & { readonly index: 0 | 1 };

function SideView({ comparison, round, isLast, index }: SideProps): JSX.Element {
  const answer = isLast ? comparison.answers[index].value : null;
  const side = round.sides[index];
  const state = answer?.state.value ?? side.state;
  const text = useMemo(() => computed(() => answer?.text.value || side.text), [answer, side.text]);
  const isDone = useMemo(
    () => computed(() => isOver(answer?.state.value ?? side.state)),
    [answer, side.state],
  );
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
      {/* How fast an answer was says whose it is. */}
      {state.kind === "finished" && !isHidden && <p class="timings">{timingsLine(state)}</p>}
      {!isOver(state) && isLast && (
        <button type="button" class="text-button" onClick={() => comparison.stop(index)}>
          {TEXTS.compare.stop(name)}
        </button>
      )}
    </section>
  );
}

function Votes({ comparison, round, isLast }: Omit<Props, "app">): JSX.Element | null {
  const hasWords =
    round.sides.some(({ text }) => text !== "") ||
    (isLast && comparison.answers.some(({ value }) => (value?.text.value ?? "") !== ""));
  const canVote = round.vote === null && hasWords;
  useEffect(() => {
    if (!isLast || !canVote) return undefined;
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.target instanceof HTMLTextAreaElement || event.target instanceof HTMLInputElement) return;
      const vote = VOTES[Number(event.key) - 1];
      if (vote !== undefined) void comparison.vote(round.id, vote);
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, [isLast, canVote, round.id]);
  if (round.vote !== null) return <p class="verdict">{TEXTS.compare.verdicts[round.vote]}</p>;
  return (
    <div class="votes" role="group" aria-label={TEXTS.compare.vote}>
      {VOTES.map((vote) => (
        <button
          key={vote}
          type="button"
          class="chip"
          disabled={!canVote}
          onClick={() => void comparison.vote(round.id, vote)}
        >
          {TEXTS.compare.votes[vote]}
        </button>
      ))}
    </div>
  );
}
