/** Which keys do what. */
import { useEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";

import { CloseIcon } from "../icons.tsx";
import { TEXTS } from "../texts.ts";

export function HelpSheet({ onClose }: { readonly onClose: () => void }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="sheet" aria-labelledby="help-title" onClose={onClose}>
      <h2 id="help-title">{TEXTS.help.title}</h2>
      <dl class="key-list">
        {TEXTS.help.rows.map(([key, does]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <button
        type="button"
        class="round-button sheet-close"
        aria-label={TEXTS.shell.close}
        onClick={() => dialog.current?.close()}
      >
        <CloseIcon />
      </button>
    </dialog>
  );
}
