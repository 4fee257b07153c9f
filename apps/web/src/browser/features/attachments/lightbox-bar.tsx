/** Shows the name of the enlarged image and the buttons for it. */
import type { Signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";

import type { ImageRef } from "../../services/store/records.ts";
import { CloseIcon, LeftIcon, MinusIcon, NewChatIcon, RightIcon } from "../../ui/icons.tsx";
import { TEXTS } from "../../ui/texts.ts";
import type { ModelSquare } from "../../images/model-square.ts";
import type { Zoom } from "./zoom.ts";

interface Props {
  readonly image: ImageRef;
  readonly position: readonly [index: number, count: number];
  readonly square: ModelSquare | null;
  readonly isModelView: Signal<boolean>;
  readonly zoom: Zoom;
  readonly show: (step: number) => void;
  readonly close: () => void;
}

export function LightboxBar(props: Props): JSX.Element {
  const { image, position, square, isModelView, zoom, show, close } = props;
  const [index, count] = position;
  const pixels = TEXTS.composer.pixels(image.width, image.height);
  return (
    <div class="lightbox-bar">
      <p aria-live="polite">
        {image.name} · {isModelView.value && square ? TEXTS.images.sees(square.size, square.tokens) : pixels}
        {count > 1 && ` · ${TEXTS.images.position(index + 1, count)}`}
      </p>
      {square && <Views isModelView={isModelView} />}
      <span class="lightbox-tools">
        {count > 1 && (
          <>
            <Tool label={TEXTS.lightbox.before} onClick={() => show(-1)} isOff={index === 0}>
              <LeftIcon />
            </Tool>
            <Tool label={TEXTS.lightbox.after} onClick={() => show(1)} isOff={index === count - 1}>
              <RightIcon />
            </Tool>
          </>
        )}
        <Tool label={TEXTS.lightbox.smaller} onClick={() => zoom.step(-1)} isOff={zoom.scale.value <= 1}>
          <MinusIcon />
        </Tool>
        <Tool label={TEXTS.lightbox.larger} onClick={() => zoom.step(1)} isOff={zoom.isMost}>
          <NewChatIcon />
        </Tool>
        <Tool label={TEXTS.shell.close} onClick={close} isOff={false}>
          <CloseIcon />
        </Tool>
      </span>
    </div>
  );
}

function Views({ isModelView }: Pick<Props, "isModelView">): JSX.Element {
  return (
    <span class="lightbox-views" role="group" aria-label={TEXTS.images.showAs}>
      {[false, true].map((choice) => (
        <button
          key={String(choice)}
          type="button"
          aria-pressed={isModelView.value === choice}
          onClick={() => (isModelView.value = choice)}
        >
          {choice ? TEXTS.images.modelView : TEXTS.images.original}
        </button>
      ))}
    </span>
  );
}

interface ToolProps {
  readonly label: string;
  readonly onClick: () => void;
  readonly isOff: boolean;
  readonly children: ComponentChildren;
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
