/** The pictures that go with the next question: seen, put in order, removed, by mouse and by keys; and as the model sees them. */
import type { JSX } from "preact";

import type { App } from "../app.ts";
import type { PictureRef } from "../chat/types.ts";
import { CloseIcon, LeftIcon, RightIcon } from "../icons.tsx";
import { PhotoNotice } from "../scenes/photo-notice.tsx";
import "../styles/pictures.css";
import { TEXTS } from "../texts.ts";
import { modelSquare } from "./model-square.ts";
import type { ModelSquare } from "./model-square.ts";
import { FilledPart, ModelView, SeenPart } from "./model-view.tsx";
import { StoredPicture } from "./stored-picture.tsx";
import { ViewPanel } from "./view-panel.tsx";

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

function Attachment({ app, picture, square, index, count }: AttachmentProps): JSX.Element {
  const { key, name, width, height, original } = picture;
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.altKey && (step === -1 || step === 1)) {
      event.preventDefault();
      app.draft.move(key, step);
    }
    if (event.key === "Delete") app.draft.remove(key);
  };
  return (
    <li class="attachment">
      <div class="attached" onKeyDown={onKeyDown}>
        <span class="overlaid">
          <StoredPicture picture={picture} urls={app.urls} alt={picture.alt ?? name} />
          {square && <SeenPart picture={picture} square={square} />}
        </span>
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
        {count > 1 && <Order app={app} picture={picture} index={index} count={count} />}
      </div>
      {count === 1 && (
        <div class="attached-notes">
          <p class="file-name">{name}</p>
          <p>{TEXTS.composer.pixels(width, height)}</p>
          {original && <p>{TEXTS.pictures.shrunk(original.width, original.height)}</p>}
        </div>
      )}
    </li>
  );
}

function Order({ app, picture, index, count }: Omit<AttachmentProps, "square">): JSX.Element {
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
    </span>
  );
}
