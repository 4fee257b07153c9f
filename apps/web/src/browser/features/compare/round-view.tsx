/** Shows a round: the question, its two answers and the vote. */
import { useSignal } from "@preact/signals";
import type { JSX, TargetedKeyboardEvent } from "preact";

import type { App } from "../../state/app.ts";
import { StoredImage } from "../../images/stored-image.tsx";
import { TEXTS } from "../../ui/texts.ts";
import type { Comparison } from "./comparison.ts";
import type { ComparisonVote, Round } from "../../services/store/round.ts";
import { SideTab, SideView } from "./side-view.tsx";

interface Props {
  readonly app: App;
  readonly comparison: Comparison;
  readonly round: Round;
  /** Whether this is the newest round, whose answers may be running. */
  readonly isLast: boolean;
}

const VOTES: readonly ComparisonVote[] = ["leftvote", "rightvote", "tievote", "bothbad_vote"];

export function RoundView({ app, comparison, round, isLast }: Props): JSX.Element {
  const shown = useSignal<0 | 1>(0);
  const side = { comparison, round, isLast };
  const isOpen = canVote(side);
  // A digit votes only while the focus is in the round; elsewhere it is typed text.
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLElement>): void => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const vote = VOTES[Number(event.key) - 1];
    if (isOpen && vote !== undefined) void comparison.vote(round.id, vote);
  };
  return (
    <article class="round" aria-label={round.text} tabIndex={-1} onKeyDown={onKeyDown}>
      <div class="question">
        <div class="images">
          {round.images.map((image) => (
            <StoredImage key={image.key} image={image} urls={app.urls} alt={image.alt ?? image.name} />
          ))}
        </div>
        <div class="question-line">
          <h3>{round.text}</h3>
        </div>
      </div>
      <div class="side-tabs" role="group" aria-label={TEXTS.compare.show}>
        <SideTab {...side} index={0} shown={shown} />
        <SideTab {...side} index={1} shown={shown} />
      </div>
      <div class="sides" data-shown={shown.value}>
        <SideView {...side} index={0} />
        <SideView {...side} index={1} />
      </div>
      <Votes comparison={comparison} round={round} isOpen={isOpen} />
    </article>
  );
}

/** A vote is possible once, from the first word on. */
function canVote({ comparison, round, isLast }: Omit<Props, "app">): boolean {
  const isBegun = isLast && comparison.answers.some(({ value }) => (value?.text.value ?? "") !== "");
  return round.vote === null && (isBegun || round.sides.some(({ text }) => text !== ""));
}

interface VotesProps extends Pick<Props, "comparison" | "round"> {
  readonly isOpen: boolean;
}

function Votes({ comparison, round, isOpen }: VotesProps): JSX.Element {
  if (round.vote !== null) return <p class="verdict">{TEXTS.compare.verdicts[round.vote]}</p>;
  return (
    <div class="votes" role="group" aria-label={TEXTS.compare.vote}>
      {VOTES.map((vote) => (
        <button
          key={vote}
          type="button"
          class="chip"
          disabled={!isOpen}
          onClick={() => void comparison.vote(round.id, vote)}
        >
          {TEXTS.compare.votes[vote]}
        </button>
      ))}
    </div>
  );
}
