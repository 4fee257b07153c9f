/** The pictures that go with the next question: seen, put in order, removed, by mouse and by keys; and as the model sees them. */
import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import type { PictureRef } from "../../services/store/records.ts";
import { CloseIcon, CutIcon, LeftIcon, RightIcon } from "../../ui/icons.tsx";
import { lazily } from "../../ui/lazy.tsx";
import { PhotoNotice } from "../scenes/photo-notice.tsx";
import "../../styles/images.css";
import { TEXTS } from "../../ui/texts.ts";
import type { CutDialogProps } from "./crop-dialog.tsx";
import type { LightboxProps } from "./lightbox.tsx";
import { modelSquare } from "../../images/model-square.ts";
import type { ModelSquare } from "../../images/model-square.ts";
import { FilledPart, ModelView, SeenPart } from "./model-view.tsx";
import type { Part } from "../../images/worker/crop-rect.ts";
import { StoredPicture } from "../../images/stored-image.tsx";
import { ViewPanel } from "./view-panel.tsx";

const CutDialog = lazily<CutDialogProps>(async () => (await import("./crop-dialog.tsx")).CutDialog);

const Lightbox = lazily<LightboxProps>(async () => (await import("./lightbox.tsx")).Lightbox);

interface Props {
  readonly app: App;
}

export function PictureTray({ app }: Props): JSX.Element | null {
  const pictures = app.draft.pictures.value;
  const isReading = app.draft.numReading.value > 0;
  if (pictures.length === 0) return isReading ? <p class="reading">{TEXTS.composer.opening}</p> : null;
  const square = modelSquare(app.models.selected.value?.card);
  return (
    <div class="tray">
      <ul class="attachments" aria-label={TEXTS.composer.pictures}>
        {pictures.map((picture, index) => (
          <Attachment
            key={picture.key}
            app={app}
            picture={picture}
            square={square}
            index={index}
            count={pictures.length}
          />
        ))}
      </ul>
      <ViewPanel app={app} square={square} />
      <PhotoNotice app={app} />
      {isReading && <p class="reading">{TEXTS.composer.opening}</p>}
    </div>
  );
}

interface AttachmentProps extends Props {
  readonly picture: PictureRef;
  readonly square: ModelSquare | null;
  readonly index: number;
  readonly count: number;
}

function Attachment(props: AttachmentProps): JSX.Element {
  const { app, picture, count } = props;
  const { key } = picture;
  const open = useSignal<Dialog | null>(null);
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.altKey && (step === -1 || step === 1)) {
      event.preventDefault();
      app.draft.move(key, step);
    }
    if (event.key === "Delete") app.draft.remove(key);
  };
  const show = (dialog: Dialog): void => void (open.value = dialog);
  return (
    <li class="attachment">
      <div class="attached" onKeyDown={onKeyDown}>
        <Thumbnails {...props} show={show} />
        {count > 1 && <Tools {...props} show={show} />}
      </div>
      {count === 1 && <Notes picture={picture} show={show} />}
      <Dialogs {...props} open={open} />
    </li>
  );
}

/** What can be opened of a picture. */
type Dialog = "large" | "cut";

interface Showing {
  readonly show: (dialog: Dialog) => void;
}

function Thumbnails({ app, picture, square, count, show }: AttachmentProps & Showing): JSX.Element {
  const { key, name } = picture;
  return (
    <>
      <button
        type="button"
        class="overlaid"
        id={idOf(key)}
        aria-label={TEXTS.turn.open(name)}
        onClick={() => show("large")}
      >
        <StoredPicture picture={picture} urls={app.urls} alt={picture.alt ?? name} />
        {square && <SeenPart picture={picture} square={square} />}
      </button>
      {square && (
        <span class="overlaid as-seen">
          <ModelView app={app} picture={picture} square={square} />
          <FilledPart picture={picture} square={square} />
        </span>
      )}
      <button
        type="button"
        class="remove"
        aria-label={TEXTS.composer.remove(name)}
        title={count === 1 ? TEXTS.composer.remove(name) : TEXTS.composer.move}
        onClick={() => app.draft.remove(key)}
      >
        <CloseIcon />
      </button>
    </>
  );
}

function Notes({ picture, show }: Pick<AttachmentProps, "picture"> & Showing): JSX.Element {
  const { name, width, height, original } = picture;
  return (
    <div class="attached-notes">
      <p class="file-name">{name}</p>
      <p>{TEXTS.composer.pixels(width, height)}</p>
      {original && <p>{TEXTS.pictures.shrunk(original.width, original.height)}</p>}
      <button type="button" class="text-button" onClick={() => show("cut")}>
        {TEXTS.pictures.cut.short}
      </button>
    </div>
  );
}

interface DialogsProps extends AttachmentProps {
  readonly open: Signal<Dialog | null>;
}

function Dialogs({ app, picture, index, open }: DialogsProps): JSX.Element | null {
  const onClose = (): void => void (open.value = null);
  if (open.value === "large")
    return <Lightbox app={app} pictures={app.draft.pictures.value} first={index} onClose={onClose} />;
  if (open.value !== "cut") return null;
  const cut = async (part: Part): Promise<void> => {
    const made = await app.cutPicture(picture, part);
    // The picture from which one came is gone.
    if (made !== null) requestAnimationFrame(() => document.getElementById(idOf(made.key))?.focus());
  };
  return <CutDialog app={app} picture={picture} onUse={(part) => void cut(part)} onClose={onClose} />;
}

function idOf(key: string): string {
  return `picture-${key}`;
}

function Tools({ app, picture, index, count, show }: AttachmentProps & Showing): JSX.Element {
  const { key, name } = picture;
  return (
    <span class="order">
      <button
        type="button"
        aria-label={TEXTS.pictures.moveLeft(name)}
        disabled={index === 0}
        onClick={() => app.draft.move(key, -1)}
      >
        <LeftIcon />
      </button>
      <button
        type="button"
        aria-label={TEXTS.pictures.moveRight(name)}
        disabled={index === count - 1}
        onClick={() => app.draft.move(key, 1)}
      >
        <RightIcon />
      </button>
      <button
        type="button"
        aria-label={TEXTS.pictures.cut.open(name)}
        title={TEXTS.pictures.cut.short}
        onClick={() => show("cut")}
      >
        <CutIcon />
      </button>
    </span>
  );
}
