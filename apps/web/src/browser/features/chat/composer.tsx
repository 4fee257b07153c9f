/**
 * Shows the composer: the images that will be sent, suggested questions, the text field, and one button that sends or
 * stops.
 */
import { useRef } from "preact/hooks";
import type { JSX, TargetedEvent } from "preact";

import type { App } from "../../state/app.ts";
import { ImageIcon, SendIcon, StopIcon } from "../../ui/icons.tsx";
import { CameraButton } from "../attachments/camera-button.tsx";
import { Attachments } from "../attachments/attachments.tsx";
import { TEXTS } from "../../ui/texts.ts";
import { ContextBar } from "./context-bar.tsx";
import { Notice } from "./notice.tsx";
import { QuestionField } from "./question-field.tsx";

interface Props {
  readonly app: App;
}

export function Composer({ app }: Props): JSX.Element {
  const submit = (event: Event): void => {
    event.preventDefault();
    if (app.chat.running.value !== null) app.chat.stop();
    else void app.sendDraft();
  };
  return (
    <footer class="composer">
      <div class="column">
        <Notice app={app} />
        <Suggestions app={app} />
        <form class="card" onSubmit={submit}>
          <Attachments app={app} />
          {app.draft.problem.value && <p class="draft-problem">{app.draft.problem}</p>}
          <div class="card-row">
            <ChooseImages app={app} />
            <CameraButton app={app} />
            <QuestionField app={app} send={() => void app.sendDraft()} />
            <SendButton app={app} />
          </div>
        </form>
        <div class="below">
          <ContextBar app={app} />
          <p class="keys">
            {TEXTS.composer.keys.map((text, index) =>
              /^\p{Lu}/u.test(text) ? <kbd key={index}>{text}</kbd> : <span key={index}>{text}</span>,
            )}
          </p>
        </div>
      </div>
    </footer>
  );
}

/** One button in one place, so that the keyboard focus stays on it. */
function SendButton({ app }: Props): JSX.Element {
  const isAnswering = app.chat.running.value !== null;
  const canSend = app.canAsk.value && app.draft.text.value.trim() !== "";
  const label = isAnswering ? TEXTS.composer.stop : TEXTS.composer.send;
  return (
    <button
      type="submit"
      class="send"
      aria-label={label}
      title={label}
      aria-disabled={!isAnswering && !canSend}
    >
      {isAnswering ? <StopIcon /> : <SendIcon />}
    </button>
  );
}

function ChooseImages({ app }: Props): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const choose = (event: TargetedEvent<HTMLInputElement>): void => {
    void app.draft.takeFiles([...(event.currentTarget.files ?? [])]);
    // Cleared so that the same file can be chosen again after it was removed.
    event.currentTarget.value = "";
  };
  return (
    <>
      <button
        type="button"
        class="round-button"
        aria-label={TEXTS.composer.choose}
        title={TEXTS.composer.choose}
        onClick={() => input.current?.click()}
      >
        <ImageIcon />
      </button>
      <input ref={input} type="file" accept="image/*" multiple hidden onChange={choose} />
    </>
  );
}

function Suggestions({ app }: Props): JSX.Element | null {
  const suggestions = app.suggestions.value;
  if (suggestions.length === 0 || app.chat.running.value !== null) return null;
  return (
    <ul class="suggestions" aria-label={TEXTS.composer.suggestions}>
      {suggestions.map((question) => (
        <li key={question}>
          <button
            type="button"
            class="chip"
            disabled={!app.canAsk.value}
            onClick={() => void app.ask(question)}
          >
            {question}
          </button>
        </li>
      ))}
    </ul>
  );
}
