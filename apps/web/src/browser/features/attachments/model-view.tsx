/**
 * Shows what the model sees of an image, to the pixel, computed in a worker by the same code that the serving worker
 * runs.
 */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

import type { App } from "../../state/app.ts";
import type { ImageRef } from "../../services/store/records.ts";
import { TEXTS } from "../../ui/texts.ts";
import { work } from "../../images/worker/image-worker-client.ts";
import { filledBox, seenBox, shapeOf } from "../../images/model-square.ts";
import type { Box, ModelSquare } from "../../images/model-square.ts";

interface Props {
  readonly app: App;
  readonly image: ImageRef;
  readonly square: ModelSquare;
}

export function ModelView({ app, image, square }: Props): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { size } = square;
  const shape = shapeOf(image.mode, square);
  useEffect(() => {
    let isShown = true;
    const paint = async (): Promise<void> => {
      const blob = await app.store.image(image.key);
      if (blob === null || !isShown) return;
      const bitmap = await work({ kind: "view", blob, size, shape });
      if (isShown) canvas.current?.getContext("bitmaprenderer")?.transferFromImageBitmap(bitmap);
      else bitmap.close();
    };
    // The preview is not needed for sending, so its failure is not reported.
    void paint().catch(() => undefined);
    return () => void (isShown = false);
  }, [image.key, size, shape]);
  return (
    <canvas
      ref={canvas}
      class="model-view"
      width={size}
      height={size}
      role="img"
      aria-label={TEXTS.images.viewOf(image.name)}
    />
  );
}

/** Lies over the original and dims the part outside the model's square. */
export function SeenPart({ image, square }: Omit<Props, "app">): JSX.Element | null {
  const { width, height, mode } = image;
  const box = seenBox(width, height, square.size, shapeOf(mode, square));
  if (box.width >= 1 && box.height >= 1) return null;
  return <span class="seen-part" style={placed(box)} aria-hidden="true" />;
}

/** Lies over the model's square and marks the image within its padding. */
export function FilledPart({ image, square }: Omit<Props, "app">): JSX.Element | null {
  const { width, height, mode } = image;
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
