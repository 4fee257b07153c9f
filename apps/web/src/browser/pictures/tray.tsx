/** The pictures that go with the next question: seen, put in order, removed, by mouse and by keys. */
import type { JSX } from "preact";

import type { App } from "../app.ts";
import type { PictureRef } from "../chat/types.ts";
import { CloseIcon } from "../icons.tsx";
import { summarize } from "../model-card.ts";
import { TEXTS } from "../texts.ts";
import { StoredPicture } from "./stored-picture.tsx";

interface Props {
  readonly app: App;
}

export function PictureTray({ app }: Props): JSX.Element | null {
  const pictures = app.draft.pictures.value;
  const isReading = app.draft.numReading.value > 0;
  if (pictures.length === 0) return isReading ? <p class="reading">{TEXTS.composer.opening}</p> : null;
  return (
    <div class="tray">
      <ul class="attachments" aria-label={TEXTS.composer.pictures}>
        {pictures.map((picture) => (
          <Attachment key={picture.key} app={app} picture={picture} isAlone={pictures.length === 1} />
        ))}
      </ul>
      <Limits app={app} />
      {isReading && <p class="reading">{TEXTS.composer.opening}</p>}
    </div>
  );
}

interface AttachmentProps extends Props {
  readonly picture: PictureRef;
  readonly isAlone: boolean;
}

function Attachment({ app, picture, isAlone }: AttachmentProps): JSX.Element {
  const { key, name, width, height } = picture;
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
        <StoredPicture picture={picture} urls={app.urls} alt={picture.alt ?? name} />
        <button
          type="button"
          class="remove"
          aria-label={TEXTS.composer.remove(name)}
          title={isAlone ? TEXTS.composer.remove(name) : TEXTS.composer.move}
          onClick={() => app.draft.remove(key)}
        >
          <CloseIcon />
        </button>
      </div>
      {isAlone && (
        <div class="attached-notes">
          <p class="file-name">{name}</p>
          <p>{TEXTS.composer.pixels(width, height)}</p>
        </div>
      )}
    </li>
  );
}

/** What the model's card says of its limits, where somebody's own picture is among them. */
function Limits({ app }: Props): JSX.Element | null {
  const card = app.models.selected.value?.card;
  const { limits } = summarize(card?.card);
  const isOwn = app.draft.pictures.value.some(({ isDrawing }) => !isDrawing);
  if (!isOwn || limits === null) return null;
  return (
    <p class="limits">
      <strong>{card?.id}:</strong> {limits}
    </p>
  );
}
