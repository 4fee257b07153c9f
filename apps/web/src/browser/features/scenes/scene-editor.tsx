/** Shows the editor in which a scene is drawn by mouse, finger or keys. */
import {
  CHARACTERS,
  COLORS,
  SCENE_SIZE,
  SHAPES,
  SIZES,
  TEXTURES,
  fullName,
  placeOf,
} from "@llava/demo/scenes";
import type { Scene } from "@llava/demo/scenes";
import { useSignalEffect } from "@preact/signals";
import type { JSX, TargetedKeyboardEvent, TargetedPointerEvent } from "preact";
import { useRef } from "preact/hooks";

import { Sheet } from "../../ui/dialog.tsx";
import { TEXTS } from "../../ui/texts.ts";
import { EditorState, MAX_OBJECTS } from "./editor-state.ts";
import { SCENE_IMAGE_SIZE, paint } from "./scene-image.ts";
import { unseenPair } from "./unseen.ts";

export interface EditorProps {
  readonly onUse: (scene: Scene) => void;
  readonly onClose: () => void;
}

const { editor } = TEXTS.scenes;

export function Editor({ onUse, onClose }: EditorProps): JSX.Element {
  const state = useRef<EditorState | null>(null);
  const table = (state.current ??= new EditorState());
  return (
    <Sheet class="editor" title={editor.title} onClose={onClose}>
      {(close) => (
        <>
          <div class="editor-parts">
            <Table state={table} />
            <div class="editor-tools">
              <Objects state={table} />
              <Looks state={table} />
            </div>
          </div>
          <Remarks state={table} />
          <p class="editor-end">
            <button
              type="button"
              class="primary"
              onClick={() => {
                onUse(table.scene.peek());
                close();
              }}
            >
              {editor.use}
            </button>
          </p>
        </>
      )}
    </Sheet>
  );
}

interface Props {
  readonly state: EditorState;
}

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function Table({ state }: Props): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const isDragging = useRef(false);
  useSignalEffect(() => {
    const scene = state.scene.value;
    if (canvas.current) paint(canvas.current, scene);
  });
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLDivElement>): void => {
    const way = ARROWS[event.key];
    if (way) state.moveBy(...way);
    else if (event.key === "Delete" || event.key === "Backspace") state.remove();
    else return;
    event.preventDefault();
  };
  const pointOf = ({ currentTarget, clientX, clientY }: TargetedPointerEvent<HTMLDivElement>) => {
    const { left, top, width } = currentTarget.getBoundingClientRect();
    return { x: ((clientX - left) / width) * SCENE_SIZE, y: ((clientY - top) / width) * SCENE_SIZE };
  };
  const { x = 0, y = 0, radius = 0 } = state.object.value ?? {};
  const percent = (units: number): string => `${(100 * units) / SCENE_SIZE}%`;
  return (
    <div
      class="editor-table"
      tabIndex={0}
      role="application"
      aria-label={editor.canvas}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => {
        isDragging.current = state.chooseAt(pointOf(event));
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => isDragging.current && state.moveTo(pointOf(event))}
      onPointerUp={() => (isDragging.current = false)}
      onPointerCancel={() => (isDragging.current = false)}
    >
      <canvas ref={canvas} width={SCENE_IMAGE_SIZE} height={SCENE_IMAGE_SIZE} aria-hidden="true" />
      {radius > 0 && (
        <span
          class="editor-chosen"
          aria-hidden="true"
          style={{
            left: percent(x - radius * 1.15),
            top: percent(y - radius * 1.15),
            width: percent(radius * 2.3),
            height: percent(radius * 2.3),
          }}
        />
      )}
    </div>
  );
}

function Objects({ state }: Props): JSX.Element {
  const isFull = state.isFull.value;
  const color = state.object.value?.color ?? "red";
  return (
    <div>
      <h3>{editor.objects}</h3>
      {state.objects.value.length === 0 && <p class="soft">{editor.none}</p>}
      <ul class="editor-objects">
        {state.objects.value.map((object, index) => (
          <li key={index}>
            <button
              type="button"
              class="chip"
              aria-pressed={index === state.chosen.value}
              onClick={() => (state.chosen.value = index)}
            >
              {fullName(object)}
              <span class="unseen">, {placeOf(object)}</span>
            </button>
          </li>
        ))}
      </ul>
      <p class="gallery-tools">
        <button
          type="button"
          class="text-button"
          disabled={isFull}
          onClick={() => state.addShape("star", color)}
        >
          {editor.addShape}
        </button>
        <button
          type="button"
          class="text-button"
          disabled={isFull}
          onClick={() => state.addCharacter("A", color)}
        >
          {editor.addCharacter}
        </button>
        <button
          type="button"
          class="text-button"
          disabled={state.object.value === null}
          onClick={() => state.remove()}
        >
          {editor.remove}
        </button>
      </p>
      {isFull && <p class="soft">{editor.full(MAX_OBJECTS)}</p>}
    </div>
  );
}

function Looks({ state }: Props): JSX.Element | null {
  const object = state.object.value;
  if (object === null) return null;
  return (
    <div class="editor-looks">
      <Choice
        label={editor.color}
        values={COLORS}
        value={object.color}
        onChoose={(color) => state.change({ color })}
      />
      {object.kind === "shape" ? (
        <>
          <Choice
            label={editor.shape}
            values={SHAPES}
            value={object.shape}
            onChoose={(shape) => state.change({ shape })}
          />
          <Choice
            label={editor.size}
            values={SIZES}
            value={object.size}
            onChoose={(size) => state.change({ size })}
          />
          <Choice
            label={editor.texture}
            values={TEXTURES}
            value={object.texture}
            onChoose={(texture) => state.change({ texture })}
          />
        </>
      ) : (
        <Choice
          label={editor.character}
          values={CHARACTERS}
          value={object.character}
          onChoose={(character) => state.change({ character })}
        />
      )}
    </div>
  );
}

interface ChoiceProps<Value extends string> {
  readonly label: string;
  readonly values: readonly Value[];
  readonly value: Value | null;
  readonly onChoose: (value: Value) => void;
}

function Choice<Value extends string>({ label, values, value, onChoose }: ChoiceProps<Value>): JSX.Element {
  return (
    <label>
      <span>{label}</span>
      <select
        value={value ?? ""}
        onChange={({ currentTarget }) => {
          const chosen = values.find((each) => each === currentTarget.value);
          if (chosen !== undefined) onChoose(chosen);
        }}
      >
        {values.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Remarks on what the model is likely to make of the scene. */
function Remarks({ state }: Props): JSX.Element {
  const unseen = unseenPair(state.scene.value);
  return (
    <p class="editor-remarks" role="status">
      {state.isCrowded.value ? editor.close : unseen === null ? "" : editor.heldOut(unseen)}
    </p>
  );
}
