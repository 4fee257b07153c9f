/** Shows what the last action did, with a button to undo it, for a few seconds. */
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import { TEXTS } from "../../ui/texts.ts";

export function ToastView({ app }: { readonly app: App }): JSX.Element {
  const toast = app.toast.value;
  return (
    <div class="toast" role="status" hidden={toast === null}>
      <p>{toast?.text}</p>
      <button type="button" class="text-button" onClick={() => toast?.undo()}>
        {TEXTS.shell.undo}
      </button>
    </div>
  );
}
