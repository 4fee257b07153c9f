/** Edits a question; the earlier question and its answers stay as another version. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import type { UserMessage } from "../../services/store/records.ts";
import { TEXTS } from "../../ui/texts.ts";

interface Props {
  readonly app: App;
  readonly message: UserMessage;
  readonly onClose: () => void;
}

export function EditForm({ app, message, onClose }: Props): JSX.Element {
  const text = useSignal(message.text);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const save = (event: Event): void => {
    event.preventDefault();
    const model = app.models.selected.peek();
    if (model === null || text.value.trim() === "") return;
    onClose();
    void app.chat.edit(message.id, model.card.id, text.value.trim(), message.images);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Escape") {
      event.stopPropagation();
      onClose();
    }
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) save(event);
  };
  return (
    <form class="edit-form" onSubmit={save}>
      <textarea
        ref={field}
        aria-label={TEXTS.turn.edit}
        rows={2}
        value={text}
        onInput={(event) => (text.value = event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <div class="edit-buttons">
        <button type="button" class="text-button" onClick={onClose}>
          {TEXTS.turn.cancel}
        </button>
        <button type="submit" class="text-button">
          {TEXTS.turn.save}
        </button>
      </div>
    </form>
  );
}
