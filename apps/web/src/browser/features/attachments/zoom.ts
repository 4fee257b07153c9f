/** Zooms a scrollable stage by one scale factor, through wheel, fingers, keys and buttons. */
import { useSignal } from "@preact/signals";
import type { ReadonlySignal } from "@preact/signals";
import type { RefObject, TargetedPointerEvent } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

const STEP = 1.25;
const MOST = 8;
/** Share of the stage by which one press of an arrow key scrolls. */
const PAN_SHARE = 0.2;

export interface Zoom {
  readonly stage: RefObject<HTMLDivElement | null>;
  /** Scale factor; 1 fits the window. */
  readonly scale: ReadonlySignal<number>;
  readonly isMost: boolean;
  step(direction: 1 | -1): void;
  pan(x: number, y: number): void;
  fit(): void;
  readonly handlers: {
    onWheel(event: WheelEvent): void;
    onPointerDown(event: TargetedPointerEvent<HTMLDivElement>): void;
    onPointerMove(event: TargetedPointerEvent<HTMLDivElement>): void;
    onPointerUp(event: TargetedPointerEvent<HTMLDivElement>): void;
    onPointerCancel(event: TargetedPointerEvent<HTMLDivElement>): void;
  };
}

interface Point {
  readonly x: number;
  readonly y: number;
}

export function useZoom(): Zoom {
  const stage = useRef<HTMLDivElement>(null);
  const scale = useSignal(1);
  /** The point of the stage that stays in place during a zoom, and the scale before it. */
  const pinned = useRef<(Point & { readonly from: number }) | null>(null);

  // Scrolling to the point needs the layout of the new size.
  useLayoutEffect(() => {
    const box = stage.current;
    const point = pinned.current;
    pinned.current = null;
    if (box === null || point === null) return;
    const factor = scale.value / point.from;
    box.scrollLeft = (box.scrollLeft + point.x) * factor - point.x;
    box.scrollTop = (box.scrollTop + point.y) * factor - point.y;
  }, [scale.value]);

  const zoomTo = (wanted: number, at?: Point): void => {
    const box = stage.current;
    if (box === null) return;
    pinned.current = { ...(at ?? { x: box.clientWidth / 2, y: box.clientHeight / 2 }), from: scale.peek() };
    scale.value = Math.max(1, Math.min(MOST, wanted));
  };
  return {
    stage,
    scale,
    isMost: scale.value >= MOST,
    step: (direction) => zoomTo(scale.peek() * STEP ** direction),
    pan: (x, y) => {
      const box = stage.current;
      box?.scrollBy(x * PAN_SHARE * box.clientWidth, y * PAN_SHARE * box.clientHeight);
    },
    fit: () => (scale.value = 1),
    handlers: useFingers(stage, (factor, at) => zoomTo(scale.peek() * factor, at)),
  };
}

/** Handles wheel, mouse and fingers: one pointer drags, two zoom. */
function useFingers(
  stage: RefObject<HTMLDivElement | null>,
  zoomBy: (factor: number, at: Point) => void,
): Zoom["handlers"] {
  const pointers = useRef(new Map<number, Point>()).current;
  const inStage = ({ clientX, clientY }: MouseEvent): Point => {
    const { left, top } = stage.current?.getBoundingClientRect() ?? { left: 0, top: 0 };
    return { x: clientX - left, y: clientY - top };
  };
  const letGo = ({ pointerId }: PointerEvent): void => void pointers.delete(pointerId);
  return {
    onWheel: (event) => {
      event.preventDefault();
      zoomBy(event.deltaY < 0 ? STEP : 1 / STEP, inStage(event));
    },
    onPointerDown: (event) => {
      pointers.set(event.pointerId, inStage(event));
      event.currentTarget.setPointerCapture(event.pointerId);
    },
    onPointerMove: (event) => {
      const before = pointers.get(event.pointerId);
      if (before === undefined) return;
      const now = inStage(event);
      pointers.set(event.pointerId, now);
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other === undefined) stage.current?.scrollBy(before.x - now.x, before.y - now.y);
      else if (pointers.size === 2) {
        const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
        zoomBy(distance(now, other) / Math.max(1, distance(before, other)), middle);
      }
    },
    onPointerUp: letGo,
    onPointerCancel: letGo,
  };
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
