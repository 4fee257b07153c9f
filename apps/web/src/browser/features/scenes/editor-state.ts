/** Holds the scene in the editor: its objects, the chosen one, and the changes to them. */
import { RADIUS, SCENE_SIZE, characterObject, paper, shapeObject } from "@llava/demo/scenes";
import type { Color, Scene, SceneObject, Shape, Size, Texture } from "@llava/demo/scenes";
import { computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

/** Most objects of a scene, which is the most that the demo model has learned to count. */
export const MAX_OBJECTS = 5;
/** Distance that one press of an arrow key moves an object, scene units. */
const STEP = 3;
const BACKGROUND = paper([243, 240, 235]);
type Place = readonly [x: number, y: number];
/** Places of new objects, in turn: the middle, then the corners. */
const PLACES: readonly [Place, ...Place[]] = [
  [48, 48],
  [20, 20],
  [76, 76],
  [76, 20],
  [20, 76],
];

export interface Looks {
  readonly color?: Color;
  readonly shape?: Shape;
  readonly size?: Size;
  readonly texture?: Texture;
  readonly character?: string;
}

export class EditorState {
  readonly objects: Signal<readonly SceneObject[]> = signal([shapeObject("red", "circle", ...PLACES[0])]);
  readonly chosen: Signal<number> = signal(0);
  readonly scene: ReadonlySignal<Scene> = computed(() => ({
    objects: this.objects.value,
    background: BACKGROUND,
  }));
  readonly object: ReadonlySignal<SceneObject | null> = computed(
    () => this.objects.value[this.chosen.value] ?? null,
  );
  readonly isFull: ReadonlySignal<boolean> = computed(() => this.objects.value.length >= MAX_OBJECTS);
  /** Whether two objects are closer together than those of the training scenes. */
  readonly isCrowded: ReadonlySignal<boolean> = computed(() =>
    this.objects.value.some((a, i) =>
      this.objects.value.slice(i + 1).some((b) => Math.hypot(a.x - b.x, a.y - b.y) < a.radius + b.radius),
    ),
  );

  addShape(shape: Shape, color: Color): void {
    this.#add((x, y) => shapeObject(color, shape, x, y));
  }

  addCharacter(character: string, color: Color): void {
    this.#add((x, y) => characterObject(color, character, x, y));
  }

  /** Changes the named properties; a character has neither size nor texture. */
  change(looks: Looks): void {
    this.#replace((object) => {
      const color = looks.color ?? object.color ?? "red";
      if (object.kind === "character")
        return characterObject(color, looks.character ?? object.character, object.x, object.y);
      const { size = object.size, texture = object.texture, shape = object.shape } = looks;
      const placed = shapeObject(color, shape, object.x, object.y, {
        size,
        texture,
        rotation: object.rotation,
      });
      return { ...placed, ...inside(placed, RADIUS[size]) };
    });
  }

  moveBy(across: number, down: number): void {
    this.#replace((object) => ({
      ...object,
      ...inside({ x: object.x + across * STEP, y: object.y + down * STEP }, object.radius),
    }));
  }

  /** @param point in scene units */
  moveTo(point: { readonly x: number; readonly y: number }): void {
    this.#replace((object) => ({ ...object, ...inside(point, object.radius) }));
  }

  /** Chooses the topmost object at a point and returns whether there is one. */
  chooseAt({ x, y }: { readonly x: number; readonly y: number }): boolean {
    const index = this.objects
      .peek()
      .findLastIndex((object) => Math.hypot(object.x - x, object.y - y) <= object.radius * 1.1);
    if (index >= 0) this.chosen.value = index;
    return index >= 0;
  }

  remove(): void {
    this.objects.value = this.objects.peek().filter((_, index) => index !== this.chosen.peek());
    this.chosen.value = Math.max(0, Math.min(this.chosen.peek(), this.objects.peek().length - 1));
  }

  #add(make: (x: number, y: number) => SceneObject): void {
    const objects = this.objects.peek();
    if (objects.length >= MAX_OBJECTS) return;
    const isFree = ([x, y]: Place): boolean =>
      objects.every((object) => Math.hypot(object.x - x, object.y - y) > 2 * RADIUS.large);
    const [x, y] = PLACES.find(isFree) ?? PLACES[0];
    this.objects.value = [...objects, make(x, y)];
    this.chosen.value = objects.length;
  }

  #replace(change: (object: SceneObject) => SceneObject): void {
    const chosen = this.chosen.peek();
    this.objects.value = this.objects
      .peek()
      .map((object, index) => (index === chosen ? change(object) : object));
  }
}

/** The point nearest to the given one at which the whole object is inside the scene. */
function inside(point: { readonly x: number; readonly y: number }, radius: number): { x: number; y: number } {
  const edge = radius * 1.1 + 1;
  const within = (value: number): number => Math.max(edge, Math.min(SCENE_SIZE - edge, value));
  return { x: within(point.x), y: within(point.y) };
}
