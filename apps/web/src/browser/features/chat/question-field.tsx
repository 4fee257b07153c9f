/**
 * Shows the text field of the question and handles its keys, which differ between keyboards, input methods and touch
 * screens.
 */
import { useRef } from "preact/hooks";
import type { JSX, TargetedInputEvent, TargetedKeyboardEvent } from "preact";

import type { App } from "../../state/app.ts";
import { TEXTS } from "../../ui/texts.ts";

/** On a touch screen Enter breaks the line, because there is no Shift to hold. */
const isTouch = matchMedia("(pointer: coarse)");
const growsByItself = CSS.supports("field-sizing", "content");

interface Props {
  readonly app: App;
  readonly send: () => void;
}

export function QuestionField({ app, send }: Props): JSX.Element {
  const isComposing = useRef(false);
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLTextAreaElement>): void => {
    if (event.key === "ArrowUp" && app.draft.text.peek() === "") return editLast(event);
    if (event.key !== "Enter" || event.shiftKey || isTouch.matches) return;
    // Enter that confirms an input method's word: browsers report it in three ways, none of which works in all of
    // them.
    if (isComposing.current || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    send();
  };
  const onInput = (event: TargetedInputEvent<HTMLTextAreaElement>): void => {
    app.draft.type(event.currentTarget.value);
    if (growsByItself) return;
    event.currentTarget.style.height = "auto";
    event.currentTarget.style.height = `${event.currentTarget.scrollHeight}px`;
  };
  return (
    <>
      <label class="unseen" for="question">
        {TEXTS.composer.label}
      </label>
      <textarea
        id="question"
        rows={1}
        placeholder={app.chat.path.value.length === 0 ? TEXTS.composer.first : TEXTS.composer.further}
        value={app.draft.text}
        autocomplete="off"
        onInput={onInput}
        onKeyDown={onKeyDown}
        onCompositionStart={() => (isComposing.current = true)}
        onCompositionEnd={() => (isComposing.current = false)}
      />
    </>
  );
}

function editLast(event: Event): void {
  const buttons = document.querySelectorAll<HTMLElement>(".edit-question");
  const last = buttons[buttons.length - 1];
  if (last === undefined) return;
  event.preventDefault();
  last.click();
}
