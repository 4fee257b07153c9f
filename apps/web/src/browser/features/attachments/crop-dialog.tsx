/**
 * Lets the user crop an image before it is sent: the remaining rect fills the model's square, so that small things in
 * it are larger.
 */
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
  readonly onUse: (rect: CropRect) => void;
  readonly onClose: () => void;
}

const texts = TEXTS.images.crop;
/** Share of the longer side by which one press of an arrow key moves the rectangle. */
const STEP_SHARE = 1 / 32;
/** Distance within which a corner is grabbed, about the width of a finger, CSS pixels. */
const GRIP_PX = 24;
const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};

export function CropDialog({ app, image, onUse, onClose }: CropDialogProps): JSX.Element {
  const rect = useSignal<CropRect>(wholeOf(image));
  const { width, height } = rect.value;
  return (
    <Sheet class="crop" title={texts.title} onClose={onClose}>
      {(close) => (
        <>
          <p class="soft">{texts.how}</p>
          <Stage app={app} image={image} rect={rect.value} onChange={(chosen) => (rect.value = chosen)} />
          <p role="status">{texts.size(width, height)}</p>
          <p class="crop-tools">
            <button type="button" class="text-button" onClick={() => (rect.value = wholeOf(image))}>
              {texts.whole}
            </button>
            <button
              type="button"
              class="crop-use"
              disabled={isWhole(rect.value, image)}
              onClick={() => {
                onUse(rect.value);
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
  readonly rect: CropRect;
  readonly onChange: (rect: CropRect) => void;
}

/** What a pointer drags: a corner, or the rectangle from the point where it was grabbed. */
type Grip = { readonly corner: Corner } | { readonly at: Point; readonly from: CropRect };

function Stage({ app, image, rect, onChange }: StageProps): JSX.Element {
  const grip = useRef<Grip | null>(null);
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLDivElement>): void => {
    const way = ARROWS[event.key];
    if (way === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const step = Math.max(1, Math.round(Math.max(image.width, image.height) * STEP_SHARE));
    const by = { x: way.x * step, y: way.y * step };
    const end = { x: rect.left + rect.width + by.x, y: rect.top + rect.height + by.y };
    const farCorner = { isRight: true, isBottom: true };
    onChange(event.shiftKey ? cornerAt(rect, image, farCorner, end) : moved(rect, image, by));
  };
  const onPointerDown = (event: TargetedPointerEvent<HTMLDivElement>): void => {
    event.currentTarget.setPointerCapture(event.pointerId);
    const at = pointOf(event, image);
    const { corner, distance } = nearestCorner(rect, at);
    const reach = (GRIP_PX * image.width) / event.currentTarget.clientWidth;
    const isHeld = distance > reach && contains(rect, at) && !isWhole(rect, image);
    grip.current = isHeld ? { at, from: rect } : { corner };
    drag(at);
  };
  const drag = (to: Point): void => {
    const held = grip.current;
    if (held === null) return;
    if ("corner" in held) onChange(cornerAt(rect, image, held.corner, to));
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
      <Frame rect={rect} image={image} />
    </div>
  );
}

/** Dims the rest of the image; each `i` is a corner. */
function Frame({ rect, image }: Pick<StageProps, "rect" | "image">): JSX.Element {
  const percent = (pixels: number, of: number): string => `${(100 * pixels) / of}%`;
  return (
    <span
      class="crop-part"
      aria-hidden="true"
      style={{
        left: percent(rect.left, image.width),
        top: percent(rect.top, image.height),
        width: percent(rect.width, image.width),
        height: percent(rect.height, image.height),
      }}
    >
      <i />
      <i />
      <i />
      <i />
    </span>
  );
}

/** The pointer's position in pixels of the image. */
function pointOf(event: TargetedPointerEvent<HTMLDivElement>, image: ImageRef): Point {
  const box = event.currentTarget.getBoundingClientRect();
  return {
    x: ((event.clientX - box.left) / box.width) * image.width,
    y: ((event.clientY - box.top) / box.height) * image.height,
  };
}
