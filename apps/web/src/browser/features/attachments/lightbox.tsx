/** A picture as large as the window, and larger: by wheel, by fingers, by keys, by buttons; as it is, or as the model sees it. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

import type { App } from "../../state/app.ts";
import type { PictureRef } from "../../services/store/records.ts";
import { TEXTS } from "../../ui/texts.ts";
import { LightboxBar } from "./lightbox-bar.tsx";
import { modelSquare } from "../../images/model-square.ts";
import type { ModelSquare } from "../../images/model-square.ts";
import { FilledPart, ModelView, SeenPart } from "./model-view.tsx";
import { StoredPicture } from "../../images/stored-image.tsx";
import { useZoom } from "./zoom.ts";

export interface LightboxProps {
  readonly app: App;
  readonly pictures: readonly PictureRef[];
  readonly first: number;
  readonly onClose: () => void;
}

export function Lightbox({ app, pictures, first, onClose }: LightboxProps): JSX.Element | null {
  const dialog = useRef<HTMLDialogElement>(null);
  const index = useSignal(first);
  const isModelView = useSignal(false);
  const zoom = useZoom();
  useEffect(() => dialog.current?.showModal(), []);
  const picture = pictures[index.value];
  const square = modelSquare(app.models.selected.value?.card);
  if (picture === undefined) return null;
  const show = (step: number): void => {
    index.value = Math.max(0, Math.min(pictures.length - 1, index.value + step));
    zoom.fit();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const isNarrow = zoom.scale.value === 1;
    const [x, y] =
      { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
    if (event.key === "PageUp" || (isNarrow && x === -1)) show(-1);
    else if (event.key === "PageDown" || (isNarrow && x === 1)) show(1);
    else if (x !== undefined && y !== undefined) zoom.pan(x, y);
    else if (event.key === "+" || event.key === "=") zoom.step(1);
    else if (event.key === "-") zoom.step(-1);
    else if (event.key === "0") zoom.fit();
    else return;
    event.preventDefault();
  };
  return (
    <dialog
      ref={dialog}
      class="lightbox"
      aria-label={TEXTS.lightbox.label}
      onClose={onClose}
      onKeyDown={onKeyDown}
    >
      <div ref={zoom.stage} class="lightbox-stage" {...zoom.handlers}>
        <div
          class="lightbox-picture"
          style={{ width: `${100 * zoom.scale.value}%`, height: `${100 * zoom.scale.value}%` }}
        >
          <Shown app={app} picture={picture} square={square} isModelView={isModelView.value} />
        </div>
      </div>
      <LightboxBar
        picture={picture}
        position={[index.value, pictures.length]}
        square={square}
        isModelView={isModelView}
        zoom={zoom}
        show={show}
        close={() => dialog.current?.close()}
      />
    </dialog>
  );
}

interface ShownProps {
  readonly app: App;
  readonly picture: PictureRef;
  readonly square: ModelSquare | null;
  readonly isModelView: boolean;
}

function Shown({ app, picture, square, isModelView }: ShownProps): JSX.Element {
  if (isModelView && square)
    return (
      <span class="overlaid lightbox-square">
        <ModelView app={app} picture={picture} square={square} />
        <FilledPart picture={picture} square={square} />
      </span>
    );
  return (
    <span class="overlaid lightbox-original" style={{ "--ratio": picture.width / picture.height }}>
      <StoredPicture picture={picture} urls={app.urls} alt={picture.alt ?? picture.name} />
      {square && <SeenPart picture={picture} square={square} />}
    </span>
  );
}
