/** A picture as large as the window, and larger: by wheel, by keys, by buttons. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";

import type { PictureRef } from "../chat/types.ts";
import { CloseIcon, LeftIcon, MinusIcon, NewChatIcon, RightIcon } from "../icons.tsx";
import { TEXTS } from "../texts.ts";
import { StoredPicture } from "./stored-picture.tsx";
import type { PictureUrls } from "./urls.ts";

interface Props {
  readonly pictures: readonly PictureRef[];
  readonly first: number;
  readonly urls: PictureUrls;
  readonly onClose: () => void;
}

const STEP = 1.25;
const MOST = 8;

export function Lightbox({ pictures, first, urls, onClose }: Props): JSX.Element | null {
  const dialog = useRef<HTMLDialogElement>(null);
  const stage = useRef<HTMLDivElement>(null);
  const index = useSignal(first);
  const zoom = useSignal(1);
  useEffect(() => dialog.current?.showModal(), []);
  const picture = pictures[index.value];
  if (picture === undefined) return null;
  const show = (step: number): void => {
    index.value = Math.max(0, Math.min(pictures.length - 1, index.value + step));
    zoom.value = 1;
  };
  const scale = (factor: number): void => {
    zoom.value = Math.max(1, Math.min(MOST, zoom.value * factor));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "ArrowLeft") show(-1);
    if (event.key === "ArrowRight") show(1);
    if (event.key === "+" || event.key === "=") scale(STEP);
    if (event.key === "-") scale(1 / STEP);
  };
  return (
    <dialog
      ref={dialog}
      class="lightbox"
      aria-label={TEXTS.lightbox.label}
      onClose={onClose}
      onKeyDown={onKeyDown}
    >
      <div
        ref={stage}
        class="lightbox-stage"
        onWheel={(event) => {
          event.preventDefault();
          scale(event.deltaY < 0 ? STEP : 1 / STEP);
        }}
      >
        <div
          class="lightbox-picture"
          style={{ width: `${100 * zoom.value}%`, height: `${100 * zoom.value}%` }}
        >
          <StoredPicture picture={picture} urls={urls} alt={picture.alt ?? picture.name} />
        </div>
      </div>
      <Bar
        picture={picture}
        index={index.value}
        number={pictures.length}
        zoom={zoom.value}
        show={show}
        scale={scale}
        close={() => dialog.current?.close()}
      />
    </dialog>
  );
}

interface BarProps {
  readonly picture: PictureRef;
  readonly index: number;
  readonly number: number;
  readonly zoom: number;
  readonly show: (step: number) => void;
  readonly scale: (factor: number) => void;
  readonly close: () => void;
}

function Bar({ picture, index, number, zoom, show, scale, close }: BarProps): JSX.Element {
  return (
    <div class="lightbox-bar">
      <p>
        {picture.name} · {TEXTS.composer.pixels(picture.width, picture.height)}
      </p>
      {number > 1 && (
        <>
          <Tool label={TEXTS.lightbox.before} onClick={() => show(-1)} isOff={index === 0}>
            <LeftIcon />
          </Tool>
          <Tool label={TEXTS.lightbox.after} onClick={() => show(1)} isOff={index === number - 1}>
            <RightIcon />
          </Tool>
        </>
      )}
      <Tool label={TEXTS.lightbox.smaller} onClick={() => scale(1 / STEP)} isOff={zoom <= 1}>
        <MinusIcon />
      </Tool>
      <Tool label={TEXTS.lightbox.larger} onClick={() => scale(STEP)} isOff={zoom >= MOST}>
        <NewChatIcon />
      </Tool>
      <Tool label={TEXTS.shell.close} onClick={close} isOff={false}>
        <CloseIcon />
      </Tool>
    </div>
  );
}

interface ToolProps {
  readonly label: string;
  readonly onClick: () => void;
  readonly isOff: boolean;
  readonly children: JSX.Element;
}

function Tool({ label, onClick, isOff, children }: ToolProps): JSX.Element {
  return (
    <button
      type="button"
      class="round-button"
      aria-label={label}
      title={label}
      disabled={isOff}
      onClick={onClick}
    >
      {children}
    </button>
  );
}
