/** Shows newly generated drawings of the kind that the demo model was trained on, and a way to draw one's own. */
import { sceneOf } from "@llava/demo/scenes";
import type { Scene } from "@llava/demo/scenes";
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

import type { App } from "../../state/app.ts";
import { DiceIcon, EditIcon } from "../../ui/icons.tsx";
import { whenIdle } from "../../ui/idle.ts";
import { lazily } from "../../ui/lazy.tsx";
import "../../styles/scenes.css";
import { TEXTS } from "../../ui/texts.ts";
import type { EditorProps } from "./scene-editor.tsx";
import { paint, sceneImage } from "./scene-image.ts";
import { isUnseen } from "./unseen.ts";

const Editor = lazily<EditorProps>(async () => (await import("./scene-editor.tsx")).Editor);

export interface GalleryProps {
  readonly app: App;
}

interface Drawing {
  readonly scene: Scene;
  readonly seed: number;
}

const NUM_DRAWINGS = 4;
/** Edge of the thumbnails' canvas, pixels: two for each CSS pixel on most screens. */
const THUMBNAIL_SIZE = 192;

export function Gallery({ app }: GalleryProps): JSX.Element {
  const drawings = useSignal<readonly Drawing[]>(drawSome());
  const isEditing = useSignal(false);
  const take = async (scene: Scene, name: string, seed: number): Promise<void> => {
    await app.draft.take(() => sceneImage(scene, name, seed));
  };
  return (
    <section class="gallery" aria-labelledby="gallery-title">
      <h3 id="gallery-title">{TEXTS.scenes.title}</h3>
      <ul class="drawings">
        {drawings.value.map(({ scene, seed }) => (
          <li key={seed}>
            <DrawingButton scene={scene} onPick={() => void take(scene, TEXTS.scenes.name(seed), seed)} />
          </li>
        ))}
      </ul>
      <p class="gallery-tools">
        <button type="button" class="text-button" onClick={() => (drawings.value = drawSome())}>
          <DiceIcon /> {TEXTS.scenes.another}
        </button>
        <button type="button" class="text-button" onClick={() => (isEditing.value = true)}>
          <EditIcon /> {TEXTS.scenes.edit}
        </button>
      </p>
      {isEditing.value && (
        <Editor
          onUse={(scene) => void take(scene, TEXTS.scenes.editor.name, scene.objects.length)}
          onClose={() => (isEditing.value = false)}
        />
      )}
    </section>
  );
}

function DrawingButton({
  scene,
  onPick,
}: {
  readonly scene: Scene;
  readonly onPick: () => void;
}): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    // Thumbnails are painted one at a time when the browser is idle, so that they do not block input.
    return whenIdle(() => canvas.current && paint(canvas.current, scene));
  }, [scene]);
  return (
    <button
      type="button"
      class="drawing"
      aria-label={[
        TEXTS.scenes.pick(scene.objects.map(nameOf)),
        ...(isUnseen(scene) ? [TEXTS.scenes.neverSeen] : []),
      ].join(", ")}
      onClick={onPick}
    >
      <canvas ref={canvas} width={THUMBNAIL_SIZE} height={THUMBNAIL_SIZE} aria-hidden="true" />
      {isUnseen(scene) && <span class="badge">{TEXTS.scenes.neverSeen}</span>}
    </button>
  );
}

function nameOf(object: Scene["objects"][number]): string {
  const noun = object.kind === "shape" ? object.shape : object.character;
  return object.color === null ? noun : `${object.color} ${noun}`;
}

/** New scenes from the distribution of the model's test; the last one shows a pair that training never drew. */
function drawSome(): readonly Drawing[] {
  return Array.from({ length: NUM_DRAWINGS }, (_, i) => {
    const seed = Math.floor(Math.random() * 2 ** 30);
    return { scene: sceneOf(i === NUM_DRAWINGS - 1 ? "held-out" : "test", seed), seed };
  });
}
