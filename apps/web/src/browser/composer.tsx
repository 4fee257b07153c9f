/** Where one types: the picture to be sent, suggested questions, the words, and one button that sends or stops. */
import { useRef } from "preact/hooks";
import type { JSX, TargetedEvent } from "preact";

import { CloseIcon, PictureIcon, SendIcon, StopIcon } from "./icons.tsx";
import { summarize } from "./model-card.ts";
import { Notice } from "./notice.tsx";
import type { PageState } from "./page-state.ts";
import { QuestionField } from "./question-field.tsx";

interface Props {
  readonly state: PageState;
}

export function Composer({ state }: Props): JSX.Element {
  const { draft, conversation } = state;
  const submit = (event: Event): void => {
    event.preventDefault();
    if (conversation.isAnswering.value) conversation.stop();
    else void state.sendDraft();
  };
  return (
    <footer class="composer">
      <div class="column">
        <Notice state={state} />
        <Suggestions state={state} />
        <form class="card" onSubmit={submit}>
          <Attachment state={state} />
          {draft.problem.value && <p class="draft-problem">{draft.problem}</p>}
          <div class="card-row">
            <ChoosePicture state={state} />
            <QuestionField state={state} />
            <SendButton state={state} />
          </div>
        </form>
        <p class="keys">
          <kbd>Enter</kbd> sends, <kbd>Shift</kbd>+<kbd>Enter</kbd> breaks the line, <kbd>Esc</kbd> stops
        </p>
      </div>
    </footer>
  );
}

/** One button in one place, so that the keyboard's focus stays where it was. */
function SendButton({ state }: Props): JSX.Element {
  const isAnswering = state.conversation.isAnswering.value;
  const canSend = state.canAsk.value && state.draft.text.value.trim() !== "";
  return (
    <button
      type="submit"
      class="send"
      aria-label={isAnswering ? "Stop" : "Send"}
      title={isAnswering ? "Stop" : "Send"}
      aria-disabled={!isAnswering && !canSend}
    >
      {isAnswering ? <StopIcon /> : <SendIcon />}
    </button>
  );
}

function ChoosePicture({ state }: Props): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const choose = (event: TargetedEvent<HTMLInputElement>): void => {
    const file = event.currentTarget.files?.[0];
    if (file) void state.draft.takeFile(file);
    // The same file can be chosen again after it was removed.
    event.currentTarget.value = "";
  };
  return (
    <>
      <button
        type="button"
        class="round-button"
        aria-label="Choose a picture"
        title="Choose a picture"
        onClick={() => input.current?.click()}
      >
        <PictureIcon />
      </button>
      <input ref={input} type="file" accept="image/*" hidden onChange={choose} />
    </>
  );
}

function Attachment({ state }: Props): JSX.Element | null {
  const picture = state.draft.picture.value;
  if (!picture) return state.draft.isReading.value ? <p class="reading">Opening the picture…</p> : null;
  const card = state.models.selected.value?.card;
  const { limits } = summarize(card?.card);
  const hasTurns = state.conversation.turns.value.length > 0;
  return (
    <div class="attachment">
      <div class="attached">
        <img src={picture.url} alt={picture.sample?.alt ?? picture.name} />
        <button
          type="button"
          class="remove"
          aria-label="Remove the picture"
          title="Remove the picture"
          onClick={() => state.draft.removePicture()}
        >
          <CloseIcon />
        </button>
      </div>
      <div class="attached-notes">
        <p class="file-name">{picture.sample?.title ?? picture.name}</p>
        <p>
          {picture.width} × {picture.height} pixels
        </p>
        {!picture.sample && limits && (
          <p class="limits">
            <strong>{card?.id}:</strong> {limits}
          </p>
        )}
        {hasTurns && (
          <button type="button" class="text-button" onClick={() => state.startOver()}>
            Ask about it in a new chat
          </button>
        )}
      </div>
    </div>
  );
}

function Suggestions({ state }: Props): JSX.Element | null {
  const suggestions = state.suggestions.value;
  if (suggestions.length === 0 || state.conversation.isAnswering.value) return null;
  return (
    <ul class="suggestions" aria-label="Suggested questions">
      {suggestions.map((question) => (
        <li key={question}>
          <button
            type="button"
            class="chip"
            disabled={!state.canAsk.value}
            onClick={() => void state.ask(question)}
          >
            {question}
          </button>
        </li>
      ))}
    </ul>
  );
}
