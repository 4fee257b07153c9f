/** Which part of an image goes with the question: what is left fills the model's square, and small things in it are larger. */
import { useSignal } from "@preact/signals";
import type { JSX, TargetedKeyboardEvent, TargetedPointerEvent } from "preact";
import { useRef } from "preact/hooks";

import type { App } from "../../state/app.ts";
import type { ImageRef } from "../../services/store/records.ts";
import { Sheet } from "../../ui/dialog.tsx";
import "../../styles/crop.css";
import { TEXTS } from "../../ui/texts.ts";
import { contains, cornerAt, isWhole, moved, nearestCorner, wholeOf } from "../../images/worker/crop-rect.ts";
import type { Corner, CropRect, Point } from "../../images/worker/crop-rect.ts";
import { StoredImage } from "../../images/stored-image.tsx";

export interface CropDialogProps {
  readonly app: App;
  readonly image: ImageRef;
  readonly onUse: (part: CropRect) => void;
  readonly onClose: () => void;
}

const texts = TEXTS.images.cut;
/** Of the longer side, at one press of an arrow key. */
const STEP_SHARE = 1 / 32;
/** A finger is as wide, CSS pixels. */
const GRIP_PX = 24;
const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};

export function CropDialog({ app, image, onUse, onClose }: CropDialogProps): JSX.Element {
  const part = useSignal<CropRect>(wholeOf(image));
  const { width, height } = part.value;
  return (
    <Sheet class="crop" title={texts.title} onClose={onClose}>
      {(close) => (
        <>
          <p class="soft">{texts.how}</p>
          <Stage app={app} image={image} part={part.value} onChange={(chosen) => (part.value = chosen)} />
          <p role="status">{texts.size(width, height)}</p>
          <p class="crop-tools">
            <button type="button" class="text-button" onClick={() => (part.value = wholeOf(image))}>
              {texts.whole}
            </button>
            <button
              type="button"
              class="crop-use"
              disabled={isWhole(part.value, image)}
              onClick={() => {
                onUse(part.value);
                close();
              }}
            >
              {texts.use}
            </button>
          </p>
        </>
      )}
    </Sheet>
  );
}

interface StageProps extends Pick<CropDialogProps, "app" | "image"> {
  readonly part: CropRect;
  readonly onChange: (part: CropRect) => void;
}

/** What a pointer holds: a corner, or the place where it took hold of the part. */
type Grip = { readonly corner: Corner } | { readonly at: Point; readonly from: CropRect };

function Stage({ app, image, part, onChange }: StageProps): JSX.Element {
  const grip = useRef<Grip | null>(null);
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLDivElement>): void => {
    const way = ARROWS[event.key];
    if (way === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const step = Math.max(1, Math.round(Math.max(image.width, image.height) * STEP_SHARE));
    const by = { x: way.x * step, y: way.y * step };
    const end = { x: part.left + part.width + by.x, y: part.top + part.height + by.y };
    const farCorner = { isRight: true, isBottom: true };
    onChange(event.shiftKey ? cornerAt(part, image, farCorner, end) : moved(part, image, by));
  };
  const onPointerDown = (event: TargetedPointerEvent<HTMLDivElement>): void => {
    event.currentTarget.setPointerCapture(event.pointerId);
    const at = pointOf(event, image);
    const { corner, distance } = nearestCorner(part, at);
    const reach = (GRIP_PX * image.width) / event.currentTarget.clientWidth;
    const isHeld = distance > reach && contains(part, at) && !isWhole(part, image);
    grip.current = isHeld ? { at, from: part } : { corner };
    drag(at);
  };
  const drag = (to: Point): void => {
    const held = grip.current;
    if (held === null) return;
    if ("corner" in held) onChange(cornerAt(part, image, held.corner, to));
    else onChange(moved(held.from, image, { x: to.x - held.at.x, y: to.y - held.at.y }));
  };
  const letGo = (): void => void (grip.current = null);
  return (
    <div
      class="crop-stage"
      tabIndex={0}
      role="application"
      aria-label={texts.stage}
      style={{ "--ratio": image.width / image.height }}
      onKeyDown={onKeyDown}
      onPointerDown={onPointerDown}
      onPointerMove={(event) => drag(pointOf(event, image))}
      onPointerUp={letGo}
      onPointerCancel={letGo}
    >
      <StoredImage image={image} urls={app.urls} alt={image.alt ?? image.name} />
      <Frame part={part} image={image} />
    </div>
  );
}

/** What is outside is dimmed; an `i` for each corner. */
function Frame({ part, image }: Pick<StageProps, "part" | "image">): JSX.Element {
  const percent = (pixels: number, of: number): string => `${(100 * pixels) / of}%`;
  return (
    <span
      class="crop-part"
      aria-hidden="true"
      style={{
        left: percent(part.left, image.width),
        top: percent(part.top, image.height),
        width: percent(part.width, image.width),
        height: percent(part.height, image.height),
      }}
    >
      <i />
      <i />
      <i />
      <i />
    </span>
  );
}

/** In pixels of the image. */
function pointOf(event: TargetedPointerEvent<HTMLDivElement>, image: ImageRef): Point {
  const box = event.currentTarget.getBoundingClientRect();
  return {
    x: ((event.clientX - box.left) / box.width) * image.width,
    y: ((event.clientY - box.top) / box.height) * image.height,
  };
}
