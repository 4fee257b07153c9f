/** Shows modal dialogs by the browser's own element, which traps the focus, closes on Escape and gives the focus back. */
import type { ComponentChildren, JSX, TargetedKeyboardEvent } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

import { CloseIcon } from "./icons.tsx";
import { TEXTS } from "./texts.ts";

interface DialogProps {
  readonly class: string;
  /** Name for screen readers, where no heading shows one. */
  readonly label?: string;
  /** Id of the heading that names the dialog. */
  readonly labelledBy?: string;
  /** Called when the dialog has closed, in whichever way. */
  readonly onClose: () => void;
  readonly onKeyDown?: (event: TargetedKeyboardEvent<HTMLDialogElement>) => void;
  /** Makes the content; `close` closes the dialog. */
  readonly children: (close: () => void) => ComponentChildren;
}

/** A dialog that is open for as long as it is rendered. */
export function Dialog({
  label,
  labelledBy,
  onClose,
  onKeyDown,
  children,
  ...props
}: DialogProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      class={props.class}
      onClose={onClose}
      {...(label === undefined ? {} : { "aria-label": label })}
      {...(labelledBy === undefined ? {} : { "aria-labelledby": labelledBy })}
      {...(onKeyDown === undefined ? {} : { onKeyDown })}
    >
      {children(() => dialog.current?.close())}
    </dialog>
  );
}

interface SheetProps extends Pick<DialogProps, "onClose" | "children"> {
  /** Class beside `sheet`. */
  readonly class?: string;
  readonly title: string;
}

/** A dialog with a heading and a button that closes it. */
export function Sheet({ title, onClose, children, ...props }: SheetProps): JSX.Element {
  const titleId = useId();
  const name = props.class === undefined ? "sheet" : `sheet ${props.class}`;
  return (
    <Dialog class={name} labelledBy={titleId} onClose={onClose}>
      {(close) => (
        <>
          <h2 id={titleId}>{title}</h2>
          {children(close)}
          <button
            type="button"
            class="round-button sheet-close"
            aria-label={TEXTS.shell.close}
            onClick={close}
          >
            <CloseIcon />
          </button>
        </>
      )}
    </Dialog>
  );
}
