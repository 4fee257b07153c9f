/** One question and its answer, in whatever state the answer is. Words become text nodes and nothing else. */
import type { LlavaError } from "@llava/protocol";
import type { JSX } from "preact";

import type { Progress, Turn } from "./conversation.ts";
import { RetryIcon, WarningIcon } from "./icons.tsx";
import type { PageState } from "./page-state.ts";
import { timingsLine } from "./timings-line.ts";

interface Props {
  readonly turn: Turn;
  readonly state: PageState;
  readonly isLast: boolean;
}

export function TurnView({ turn, state, isLast }: Props): JSX.Element {
  const progress = turn.progress.value;
  return (
    <article class="turn" aria-busy={progress.kind === "waiting" || progress.kind === "streaming"}>
      <div class="question">
        {turn.picture && (
          <img
            src={turn.picture.url}
            alt={turn.picture.sample?.alt ?? `Your picture ${turn.picture.name}`}
            width={turn.picture.width}
            height={turn.picture.height}
          />
        )}
        <h2>{turn.question}</h2>
      </div>
      <div class="answer" data-progress={progress.kind}>
        <h3 class="answerer">{turn.model}</h3>
        <p class="words">{turn.answer}</p>
        <Ending turn={turn} state={state} isLast={isLast} progress={progress} />
      </div>
    </article>
  );
}

function Ending({
  turn,
  state,
  isLast,
  progress,
}: Props & { readonly progress: Progress }): JSX.Element | null {
  switch (progress.kind) {
    case "waiting":
      return <Waiting hasPicture={turn.picture !== null} />;
    case "streaming":
      return null;
    case "finished":
      return <p class="timings">{timingsLine(progress)}</p>;
    case "stopped":
      return <p class="stopped">Stopped. {isLast && <RetryButton state={state} label="Ask again" />}</p>;
    case "failed":
      return <Failure error={progress.error} state={state} isLast={isLast} />;
  }
}

function Waiting({ hasPicture }: { readonly hasPicture: boolean }): JSX.Element {
  return (
    <p class="waiting">
      <span class="ember" aria-hidden="true" />
      {hasPicture ? "Reading the picture…" : "Thinking…"}
    </p>
  );
}

interface FailureProps {
  readonly error: LlavaError;
  readonly state: PageState;
  readonly isLast: boolean;
}

function Failure({ error, state, isLast }: FailureProps): JSX.Element {
  return (
    <div class="failure">
      <WarningIcon />
      <p>{error.message}</p>
      {isLast && (
        <div class="failure-actions">
          <RetryButton state={state} label="Try again" />
          {error.code === "context_length_exceeded" && (
            <button type="button" class="text-button" onClick={() => state.startOver()}>
              New chat
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function RetryButton({ state, label }: { readonly state: PageState; readonly label: string }): JSX.Element {
  return (
    <button
      type="button"
      class="text-button"
      disabled={!state.canAsk.value}
      onClick={() => void state.retry()}
    >
      <RetryIcon /> {label}
    </button>
  );
}
