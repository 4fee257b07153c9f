/** Labels what every patch of an image shows, for the pre-training of the vision tower. */
import {
  cellOf,
  CHARACTERS,
  COLORS,
  type Coverage,
  GLYPH_ASPECT,
  rasterize,
  type Scene,
  SCENE_SIZE,
  type SceneObject,
  SHAPES,
  SIZES,
  TEXTURES,
} from "../../scenes/index.ts";

export const PATCH_SIZE = 12;
export const GRID_SIZE = SCENE_SIZE / PATCH_SIZE;
export const PATCHES = GRID_SIZE * GRID_SIZE;

/** Classifiers of a patch; class 0 is always "background" ("no" for center, "no name" for color). */
export const PATCH_HEADS = [
  { name: "color", classes: 1 + COLORS.length },
  { name: "kind", classes: 1 + SHAPES.length + CHARACTERS.length },
  { name: "size", classes: 1 + SIZES.length },
  { name: "texture", classes: 1 + TEXTURES.length },
  { name: "center", classes: 2 },
  { name: "column", classes: 1 + GRID_SIZE },
  { name: "row", classes: 1 + GRID_SIZE },
  { name: "cell", classes: 1 + 9 },
] as const;
type PatchHead = (typeof PATCH_HEADS)[number]["name"];
export type PatchLabels = Readonly<Record<PatchHead, Uint8Array>>;

/** A patch belongs to an object that fills more than this share of the patch. */
const LEAST_OF_PATCH = 0.2;
/** A patch also belongs to an object of which more than this share lies in it, or small stars would have no patch. */
const LEAST_OF_OBJECT = 0.22;

/**
 * Class ids per head, each [64], row by row.
 * @param coverages the result of `rasterize(scene)`, when it is known already
 */
export function patchLabels(scene: Scene, coverages: readonly Coverage[] = rasterize(scene)): PatchLabels {
  const owners = patchOwners(scene, coverages);
  const labels = {
    color: new Uint8Array(PATCHES),
    kind: new Uint8Array(PATCHES),
    size: new Uint8Array(PATCHES),
    texture: new Uint8Array(PATCHES),
    center: new Uint8Array(PATCHES),
    column: new Uint8Array(PATCHES),
    row: new Uint8Array(PATCHES),
    cell: new Uint8Array(PATCHES),
  };
  owners.forEach((owner, patch) => {
    const object = scene.objects[owner];
    if (!object) return;
    labels.color[patch] = object.color ? 1 + COLORS.indexOf(object.color) : 0;
    labels.kind[patch] = kindOf(object);
    labels.size[patch] = 1 + SIZES.indexOf(object.size);
    labels.texture[patch] = 1 + TEXTURES.indexOf(object.kind === "shape" ? object.texture : "solid");
    labels.center[patch] = patch === centerPatch(object) ? 1 : 0;
    labels.column[patch] = 1 + Math.floor(object.x / PATCH_SIZE);
    labels.row[patch] = 1 + Math.floor(object.y / PATCH_SIZE);
    labels.cell[patch] = 1 + cellOf(object);
  });
  return labels;
}

/** Weight of each patch in the loss, [64]: 1 on objects and less on the background, which fills most of the image. */
export function labelWeights(labels: PatchLabels): Float32Array {
  return Float32Array.from(labels.kind, (kind) => (kind > 0 ? 1 : 0.15));
}

function kindOf(object: SceneObject): number {
  if (object.kind === "shape") return 1 + SHAPES.indexOf(object.shape);
  return 1 + SHAPES.length + CHARACTERS.indexOf(object.character);
}

function centerPatch(object: SceneObject): number {
  return Math.floor(object.y / PATCH_SIZE) * GRID_SIZE + Math.floor(object.x / PATCH_SIZE);
}

/** The index of the object that fills the most of each patch, or -1; a center always owns its patch. */
function patchOwners(scene: Scene, coverages: readonly Coverage[]): Int8Array {
  const owners = new Int8Array(PATCHES).fill(-1);
  const most = new Float32Array(PATCHES);
  scene.objects.forEach((object, index) => {
    const coverage = coverages[index];
    if (!coverage) return;
    const areas = object.kind === "shape" ? inkPerPatch(coverage) : boxPerPatch(object);
    const whole = areas.reduce((sum, area) => sum + area, 0);
    areas.forEach((area, patch) => {
      const isOwn = area > LEAST_OF_PATCH * PATCH_SIZE ** 2 || area > LEAST_OF_OBJECT * whole;
      if (!isOwn || area <= (most[patch] ?? 0)) return;
      most[patch] = area;
      owners[patch] = index;
    });
    most[centerPatch(object)] = Infinity;
    owners[centerPatch(object)] = index;
  });
  return owners;
}

/** Pixels of each patch that the object covers. */
function inkPerPatch(coverage: Coverage): Float32Array {
  const areas = new Float32Array(PATCHES);
  for (let row = 0, k = 0; row < coverage.height; row++) {
    const first = Math.floor((coverage.top + row) / PATCH_SIZE) * GRID_SIZE;
    for (let column = 0; column < coverage.width; column++, k++) {
      const patch = first + Math.floor((coverage.left + column) / PATCH_SIZE);
      areas[patch] = (areas[patch] ?? 0) + (coverage.ink[k] ?? 0) / 4;
    }
  }
  return areas;
}

/** Pixels of each patch within a character's box: the hollow of a "0" is part of the "0". */
function boxPerPatch(object: SceneObject): Float32Array {
  const halfWidth = object.radius * GLYPH_ASPECT;
  const areas = new Float32Array(PATCHES);
  for (let patch = 0; patch < PATCHES; patch++) {
    const across = overlap(object.x - halfWidth, object.x + halfWidth, patch % GRID_SIZE);
    const down = overlap(object.y - object.radius, object.y + object.radius, Math.floor(patch / GRID_SIZE));
    areas[patch] = across * down;
  }
  return areas;
}

/** Length of [low, high) within the index-th patch of an axis. */
function overlap(low: number, high: number, index: number): number {
  return Math.max(0, Math.min(high, (index + 1) * PATCH_SIZE) - Math.max(low, index * PATCH_SIZE));
}
