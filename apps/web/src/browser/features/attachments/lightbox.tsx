/**
 * Shows an image at the size of the window and zooms into it by wheel, fingers, keys and buttons; as it is, or as the
 * model sees it.
 */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";

import type { App } from "../../state/app.ts";
import type { ImageRef } from "../../services/store/records.ts";
import { Dialog } from "../../ui/dialog.tsx";
import { TEXTS } from "../../ui/texts.ts";
import { LightboxBar } from "./lightbox-bar.tsx";
import { modelSquare } from "../../images/model-square.ts";
import type { ModelSquare } from "../../images/model-square.ts";
import { FilledPart, ModelView, SeenPart } from "./model-view.tsx";
import { StoredImage } from "../../images/stored-image.tsx";
import { useZoom } from "./zoom.ts";

export interface LightboxProps {
  readonly app: App;
  readonly images: readonly ImageRef[];
  readonly first: number;
  readonly onClose: () => void;
}

export function Lightbox({ app, images, first, onClose }: LightboxProps): JSX.Element | null {
  const index = useSignal(first);
  const isModelView = useSignal(false);
  const zoom = useZoom();
  const image = images[index.value];
  const square = modelSquare(app.models.selected.value?.card);
  if (image === undefined) return null;
  const show = (step: number): void => {
    index.value = Math.max(0, Math.min(images.length - 1, index.value + step));
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
    <Dialog class="lightbox" label={TEXTS.lightbox.label} onClose={onClose} onKeyDown={onKeyDown}>
      {(close) => (
        <>
          <div ref={zoom.stage} class="lightbox-stage" {...zoom.handlers}>
            <div
              class="lightbox-image"
              style={{ width: `${100 * zoom.scale.value}%`, height: `${100 * zoom.scale.value}%` }}
            >
              <Shown app={app} image={image} square={square} isModelView={isModelView.value} />
            </div>
          </div>
          <LightboxBar
            image={image}
            position={[index.value, images.length]}
            square={square}
            isModelView={isModelView}
            zoom={zoom}
            show={show}
            close={close}
          />
        </>
      )}
    </Dialog>
  );
}

interface ShownProps {
  readonly app: App;
  readonly image: ImageRef;
  readonly square: ModelSquare | null;
  readonly isModelView: boolean;
}

function Shown({ app, image, square, isModelView }: ShownProps): JSX.Element {
  if (isModelView && square)
    return (
      <span class="overlaid lightbox-square">
        <ModelView app={app} image={image} square={square} />
        <FilledPart image={image} square={square} />
      </span>
    );
  return (
    <span class="overlaid lightbox-original" style={{ "--ratio": image.width / image.height }}>
      <StoredImage image={image} urls={app.urls} alt={image.alt ?? image.name} />
      {square && <SeenPart image={image} square={square} />}
    </span>
  );
}
