/** What the model sees of a picture, to the pixel: computed beside the page by the code that the worker uses. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

import type { App } from "../app.ts";
import type { PictureRef } from "../chat/types.ts";
import { TEXTS } from "../texts.ts";
import { work } from "./desk.ts";
import { filledBox, seenBox, shapeOf } from "./model-square.ts";
import type { Box, ModelSquare } from "./model-square.ts";

interface Props {
  readonly app: App;
  readonly picture: PictureRef;
  readonly square: ModelSquare;
}

export function ModelView({ app, picture, square }: Props): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { size } = square;
  const shape = shapeOf(picture.mode, square);
  useEffect(() => {
    let isShown = true;
    const paint = async (): Promise<void> => {
      const blob = await app.store.picture(picture.key);
      if (blob === null || !isShown) return;
      const bitmap = await work({ kind: "view", blob, size, shape });
      if (isShown) canvas.current?.getContext("bitmaprenderer")?.transferFromImageBitmap(bitmap);
      else bitmap.close();
    };
    // A preview that does not come says nothing: sending goes on without it.
    void paint().catch(() => undefined);
    return () => void (isShown = false);
  }, [picture.key, size, shape]);
  return (
    <canvas
      ref={canvas}
      class="model-view"
      width={size}
      height={size}
      role="img"
      aria-label={TEXTS.pictures.viewOf(picture.name)}
    />
  );
}

/** Lies over the original: what is outside of the model's square is dimmed. */
export function SeenPart({ picture, square }: Omit<Props, "app">): JSX.Element | null {
  const { width, height, mode } = picture;
  const box = seenBox(width, height, square.size, shapeOf(mode, square));
  if (box.width >= 1 && box.height >= 1) return null;
  return <span class="seen-part" style={placed(box)} aria-hidden="true" />;
}

/** Lies over the model's square: where the picture is, between what pads it. */
export function FilledPart({ picture, square }: Omit<Props, "app">): JSX.Element | null {
  const { width, height, mode } = picture;
  const box = filledBox(width, height, square.size, shapeOf(mode, square));
  if (box.width >= 1 && box.height >= 1) return null;
  return <span class="filled-part" style={placed(box)} aria-hidden="true" />;
}

function placed({
  left,
  top,
  width,
  height,
}: Box): Readonly<Record<"left" | "top" | "width" | "height", string>> {
  const percent = (share: number): string => `${100 * share}%`;
  return { left: percent(left), top: percent(top), width: percent(width), height: percent(height) };
}
