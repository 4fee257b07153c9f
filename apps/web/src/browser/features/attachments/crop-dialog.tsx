/** Which part of a picture goes with the question: what is left fills the model's square, and small things in it are larger. */
import { useSignal } from "@preact/signals";
import type { JSX, TargetedKeyboardEvent, TargetedPointerEvent } from "preact";
import { useEffect, useRef } from "preact/hooks";

import type { App } from "../../state/app.ts";
import type { PictureRef } from "../../services/store/records.ts";
import { CloseIcon } from "../../ui/icons.tsx";
import "../../styles/crop.css";
import { TEXTS } from "../../ui/texts.ts";
import { contains, cornerAt, isWhole, moved, nearestCorner, wholeOf } from "../../images/worker/crop-rect.ts";
import type { Corner, Part, Point } from "../../images/worker/crop-rect.ts";
import { StoredPicture } from "../../images/stored-image.tsx";

export interface CutDialogProps {
  readonly app: App;
  readonly picture: PictureRef;
  readonly onUse: (part: Part) => void;
  readonly onClose: () => void;
}

const texts = TEXTS.pictures.cut;
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

export function CutDialog({ app, picture, onUse, onClose }: CutDialogProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const part = useSignal<Part>(wholeOf(picture));
  useEffect(() => dialog.current?.showModal(), []);
  const { width, height } = part.value;
  return (
    <dialog ref={dialog} class="sheet cut" aria-labelledby="cut-title" onClose={onClose}>
      <h2 id="cut-title">{texts.title}</h2>
      <p class="soft">{texts.how}</p>
      <Stage app={app} picture={picture} part={part.value} onChange={(chosen) => (part.value = chosen)} />
      <p role="status">{texts.size(width, height)}</p>
      <p class="cut-tools">
        <button type="button" class="text-button" onClick={() => (part.value = wholeOf(picture))}>
          {texts.whole}
        </button>
        <button
          type="button"
          class="cut-use"
          disabled={isWhole(part.value, picture)}
          onClick={() => {
            onUse(part.value);
            dialog.current?.close();
          }}
        >
          {texts.use}
        </button>
      </p>
      <button
        type="button"
        class="round-button sheet-close"
        aria-label={TEXTS.shell.close}
        onClick={() => dialog.current?.close()}
      >
        <CloseIcon />
      </button>
    </dialog>
  );
}

interface StageProps extends Pick<CutDialogProps, "app" | "picture"> {
  readonly part: Part;
  readonly onChange: (part: Part) => void;
}

/** What a pointer holds: a corner, or the place where it took hold of the part. */
type Grip = { readonly corner: Corner } | { readonly at: Point; readonly from: Part };

function Stage({ app, picture, part, onChange }: StageProps): JSX.Element {
  const grip = useRef<Grip | null>(null);
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLDivElement>): void => {
    const way = ARROWS[event.key];
    if (way === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const step = Math.max(1, Math.round(Math.max(picture.width, picture.height) * STEP_SHARE));
    const by = { x: way.x * step, y: way.y * step };
    const end = { x: part.left + part.width + by.x, y: part.top + part.height + by.y };
    const farCorner = { isRight: true, isBottom: true };
    onChange(event.shiftKey ? cornerAt(part, picture, farCorner, end) : moved(part, picture, by));
  };
  const onPointerDown = (event: TargetedPointerEvent<HTMLDivElement>): void => {
    event.currentTarget.setPointerCapture(event.pointerId);
    const at = pointOf(event, picture);
    const { corner, distance } = nearestCorner(part, at);
    const reach = (GRIP_PX * picture.width) / event.currentTarget.clientWidth;
    const isHeld = distance > reach && contains(part, at) && !isWhole(part, picture);
    grip.current = isHeld ? { at, from: part } : { corner };
    drag(at);
  };
  const drag = (to: Point): void => {
    const held = grip.current;
    if (held === null) return;
    if ("corner" in held) onChange(cornerAt(part, picture, held.corner, to));
    else onChange(moved(held.from, picture, { x: to.x - held.at.x, y: to.y - held.at.y }));
  };
  const letGo = (): void => void (grip.current = null);
  return (
    <div
      class="cut-stage"
      tabIndex={0}
      role="application"
      aria-label={texts.stage}
      style={{ "--ratio": picture.width / picture.height }}
      onKeyDown={onKeyDown}
      onPointerDown={onPointerDown}
      onPointerMove={(event) => drag(pointOf(event, picture))}
      onPointerUp={letGo}
      onPointerCancel={letGo}
    >
      <StoredPicture picture={picture} urls={app.urls} alt={picture.alt ?? picture.name} />
      <Frame part={part} picture={picture} />
    </div>
  );
}

/** What is outside is dimmed; an `i` for each corner. */
function Frame({ part, picture }: Pick<StageProps, "part" | "picture">): JSX.Element {
  const percent = (pixels: number, of: number): string => `${(100 * pixels) / of}%`;
  return (
    <span
      class="cut-part"
      aria-hidden="true"
      style={{
        left: percent(part.left, picture.width),
        top: percent(part.top, picture.height),
        width: percent(part.width, picture.width),
        height: percent(part.height, picture.height),
      }}
    >
      <i />
      <i />
      <i />
      <i />
    </span>
  );
}

/** In pixels of the picture. */
function pointOf(event: TargetedPointerEvent<HTMLDivElement>, picture: PictureRef): Point {
  const box = event.currentTarget.getBoundingClientRect();
  return {
    x: ((event.clientX - box.left) / box.width) * picture.width,
    y: ((event.clientY - box.top) / box.height) * picture.height,
  };
}
