/**
 * Shows the images that go with the next question, as they are and as the model sees them, to be ordered and removed
 * by mouse or keys.
 */
import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import type { ImageRef } from "../../services/store/records.ts";
import { CloseIcon, CropIcon, LeftIcon, RightIcon } from "../../ui/icons.tsx";
import { lazily } from "../../ui/lazy.tsx";
import { PhotoNotice } from "../scenes/photo-notice.tsx";
import "../../styles/images.css";
import { TEXTS } from "../../ui/texts.ts";
import type { CropDialogProps } from "./crop-dialog.tsx";
import type { LightboxProps } from "./lightbox.tsx";
import { modelSquare } from "../../images/model-square.ts";
import type { ModelSquare } from "../../images/model-square.ts";
import { FilledPart, ModelView, SeenPart } from "./model-view.tsx";
import type { CropRect } from "../../images/worker/crop-rect.ts";
import { StoredImage } from "../../images/stored-image.tsx";
import { ViewPanel } from "./view-panel.tsx";

const CropDialog = lazily<CropDialogProps>(async () => (await import("./crop-dialog.tsx")).CropDialog);

const Lightbox = lazily<LightboxProps>(async () => (await import("./lightbox.tsx")).Lightbox);

interface Props {
  readonly app: App;
}

export function Attachments({ app }: Props): JSX.Element | null {
  const images = app.draft.images.value;
  const isReading = app.draft.numReading.value > 0;
  if (images.length === 0) return isReading ? <p class="reading">{TEXTS.composer.opening}</p> : null;
  const square = modelSquare(app.models.selected.value?.card);
  return (
    <div class="tray">
      <ul class="attachments" aria-label={TEXTS.composer.images}>
        {images.map((image, index) => (
          <Attachment
            key={image.key}
            app={app}
            image={image}
            square={square}
            index={index}
            count={images.length}
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
  readonly image: ImageRef;
  readonly square: ModelSquare | null;
  readonly index: number;
  readonly count: number;
}

function Attachment(props: AttachmentProps): JSX.Element {
  const { app, image, count } = props;
  const { key } = image;
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
      {count === 1 && <Notes image={image} show={show} />}
      <Dialogs {...props} open={open} />
    </li>
  );
}

/** The dialog that is open for an image. */
type Dialog = "large" | "crop";

interface Showing {
  readonly show: (dialog: Dialog) => void;
}

function Thumbnails({ app, image, square, count, show }: AttachmentProps & Showing): JSX.Element {
  const { key, name } = image;
  return (
    <>
      <button
        type="button"
        class="overlaid"
        id={idOf(key)}
        aria-label={TEXTS.turn.open(name)}
        onClick={() => show("large")}
      >
        <StoredImage image={image} urls={app.urls} alt={image.alt ?? name} />
        {square && <SeenPart image={image} square={square} />}
      </button>
      {square && (
        <span class="overlaid as-seen">
          <ModelView app={app} image={image} square={square} />
          <FilledPart image={image} square={square} />
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

function Notes({ image, show }: Pick<AttachmentProps, "image"> & Showing): JSX.Element {
  const { name, width, height, original } = image;
  return (
    <div class="attached-notes">
      <p class="file-name">{name}</p>
      <p>{TEXTS.composer.pixels(width, height)}</p>
      {original && <p>{TEXTS.images.shrunk(original.width, original.height)}</p>}
      <button type="button" class="text-button" onClick={() => show("crop")}>
        {TEXTS.images.crop.short}
      </button>
    </div>
  );
}

interface DialogsProps extends AttachmentProps {
  readonly open: Signal<Dialog | null>;
}

function Dialogs({ app, image, index, open }: DialogsProps): JSX.Element | null {
  const onClose = (): void => void (open.value = null);
  if (open.value === "large")
    return <Lightbox app={app} images={app.draft.images.value} first={index} onClose={onClose} />;
  if (open.value !== "crop") return null;
  const crop = async (rect: CropRect): Promise<void> => {
    const made = await app.cropImage(image, rect);
    // The cropped image has another key, so the focused element is gone.
    if (made !== null) requestAnimationFrame(() => document.getElementById(idOf(made.key))?.focus());
  };
  return <CropDialog app={app} image={image} onUse={(rect) => void crop(rect)} onClose={onClose} />;
}

function idOf(key: string): string {
  return `image-${key}`;
}

function Tools({ app, image, index, count, show }: AttachmentProps & Showing): JSX.Element {
  const { key, name } = image;
  return (
    <span class="order">
      <button
        type="button"
        aria-label={TEXTS.images.moveLeft(name)}
        disabled={index === 0}
        onClick={() => app.draft.move(key, -1)}
      >
        <LeftIcon />
      </button>
      <button
        type="button"
        aria-label={TEXTS.images.moveRight(name)}
        disabled={index === count - 1}
        onClick={() => app.draft.move(key, 1)}
      >
        <RightIcon />
      </button>
      <button
        type="button"
        aria-label={TEXTS.images.crop.open(name)}
        title={TEXTS.images.crop.short}
        onClick={() => show("crop")}
      >
        <CropIcon />
      </button>
    </span>
  );
}
