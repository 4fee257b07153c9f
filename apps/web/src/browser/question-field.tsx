/** The field for the question; apart because a key press there means different things to different keyboards. */
import { useRef } from "preact/hooks";
import type { JSX, TargetedInputEvent, TargetedKeyboardEvent } from "preact";

import type { PageState } from "./page-state.ts";

/** On a touch screen, Enter breaks the line: there is no Shift to hold. */
const isTouch = matchMedia("(pointer: coarse)");
const growsByItself = CSS.supports("field-sizing", "content");

export function QuestionField({ state }: { readonly state: PageState }): JSX.Element {
  const isComposing = useRef(false);
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLTextAreaElement>): void => {
    if (event.key === "Escape") state.conversation.stop();
    if (event.key !== "Enter" || event.shiftKey || isTouch.matches) return;
    // Enter that confirms a word of an input method: browsers tell it in three ways, none of them everywhere.
    if (isComposing.current || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    void state.sendDraft();
  };
  const onInput = (event: TargetedInputEvent<HTMLTextAreaElement>): void => {
    state.draft.text.value = event.currentTarget.value;
    if (growsByItself) return;
    event.currentTarget.style.height = "auto";
    event.currentTarget.style.height = `${event.currentTarget.scrollHeight}px`;
  };
  return (
    <>
      <label class="unseen" for="question">
        Your question
      </label>
      <textarea
        id="question"
        rows={1}
        placeholder={state.conversation.turns.value.length === 0 ? "Ask about a picture…" : "Ask further…"}
        value={state.draft.text}
        autocomplete="off"
        onInput={onInput}
        onKeyDown={onKeyDown}
        onCompositionStart={() => (isComposing.current = true)}
        onCompositionEnd={() => (isComposing.current = false)}
      />
    </>
  );
}
