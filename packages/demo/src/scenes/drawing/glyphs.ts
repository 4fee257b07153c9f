/** Defines the demo's typeface: 5×7 cells per character. */

export const GLYPH_COLUMNS = 5;
export const GLYPH_ROWS = 7;

/** Seven rows of five cells, top to bottom, for each of CHARACTERS; "#" is ink. */
const DRAWINGS: Readonly<Record<string, string>> = {
  "0": ".###. #...# #...# #...# #...# #...# .###.",
  "1": "..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###.",
  "2": ".###. #...# ....# ..##. .#... #.... #####",
  "3": "####. ....# ....# .###. ....# ....# ####.",
  "4": "#..#. #..#. #..#. ##### ...#. ...#. ...#.",
  "5": "##### #.... ####. ....# ....# #...# .###.",
  "6": ".###. #.... #.... ####. #...# #...# .###.",
  "7": "##### ....# ...#. ...#. ..#.. ..#.. ..#..",
  "8": ".###. #...# #...# .###. #...# #...# .###.",
  "9": ".###. #...# #...# .#### ....# ....# .###.",
  A: "..#.. .#.#. #...# #...# ##### #...# #...#",
  C: ".#### #.... #.... #.... #.... #.... .####",
  E: "##### #.... #.... ####. #.... #.... #####",
  F: "##### #.... #.... ####. #.... #.... #....",
  H: "#...# #...# #...# ##### #...# #...# #...#",
  J: "..### ....# ....# ....# ....# #...# .###.",
  K: "#...# #..#. #.#.. ##... #.#.. #..#. #...#",
  L: "#.... #.... #.... #.... #.... #.... #####",
  M: "#...# ##.## #.#.# #...# #...# #...# #...#",
  N: "#...# #...# ##..# #.#.# #..## #...# #...#",
  P: "####. #...# #...# ####. #.... #.... #....",
  R: "####. #...# #...# ####. #.#.. #..#. #...#",
  T: "##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#..",
  U: "#...# #...# #...# #...# #...# #...# .###.",
  X: "#...# #...# .#.#. ..#.. .#.#. #...# #...#",
  Y: "#...# #...# .#.#. ..#.. ..#.. ..#.. ..#..",
};

/** Number of points per cell edge at which a glyph is sampled. */
const FINENESS = 8;
const MASK_WIDTH = GLYPH_COLUMNS * FINENESS;
const MASK_HEIGHT = GLYPH_ROWS * FINENESS;
/** Half the width of a stroke, in cells. */
const PEN_RADIUS = 0.56;

/** Offsets of the neighbors that a stroke from a cell may lead to; strokes from the other four lead to the cell. */
const NEIGHBORS = [
  [1, 0],
  [0, 1],
  [1, 1],
  [-1, 1],
] as const;

/** Masks by character, each made when it is first used. */
const MASKS = new Map<string, Uint8Array>();

/** Whether (u, v) is ink; both from -1 to 1 over the width and height of the glyph, v down. */
export function glyphOutline(character: string): (u: number, v: number) => boolean {
  const mask = maskOf(character);
  return (u, v) => {
    const column = Math.floor(((u + 1) / 2) * MASK_WIDTH);
    const row = Math.floor(((v + 1) / 2) * MASK_HEIGHT);
    if (column < 0 || column >= MASK_WIDTH || row < 0 || row >= MASK_HEIGHT) return false;
    return mask[row * MASK_WIDTH + column] === 1;
  };
}

function maskOf(character: string): Uint8Array {
  const made = MASKS.get(character);
  if (made !== undefined) return made;
  const drawing = Object.hasOwn(DRAWINGS, character) ? DRAWINGS[character] : undefined;
  if (drawing === undefined)
    throw new RangeError(`The typeface has no drawing of ${JSON.stringify(character)}.`);
  const mask = strokeMask(drawing);
  MASKS.set(character, mask);
  return mask;
}

/** The area of a round pen that follows the strokes, so that corners join and no cell looks like a loose tile. */
function strokeMask(drawing: string): Uint8Array {
  const strokes = strokesOf(drawing.split(" "));
  const mask = new Uint8Array(MASK_WIDTH * MASK_HEIGHT);
  for (let i = 0; i < mask.length; i++) {
    const x = ((i % MASK_WIDTH) + 0.5) / FINENESS;
    const y = (Math.floor(i / MASK_WIDTH) + 0.5) / FINENESS;
    if (strokes.some((stroke) => distanceTo(stroke, x, y) <= PEN_RADIUS)) mask[i] = 1;
  }
  return mask;
}

type Stroke = readonly [fromX: number, fromY: number, toX: number, toY: number];

/** A stroke from every inked cell to each inked neighbor; across a corner only where no straight way round exists. */
function strokesOf(rows: readonly string[]): Stroke[] {
  const isInk = (x: number, y: number): boolean => rows[y]?.[x] === "#";
  const strokes: Stroke[] = [];
  for (let y = 0; y < GLYPH_ROWS; y++) {
    for (let x = 0; x < GLYPH_COLUMNS; x++) {
      if (!isInk(x, y)) continue;
      for (const [dx, dy] of NEIGHBORS) {
        const isCorner = dx !== 0 && dy !== 0 && (isInk(x + dx, y) || isInk(x, y + dy));
        if (isInk(x + dx, y + dy) && !isCorner) strokes.push([x + 0.5, y + 0.5, x + dx + 0.5, y + dy + 0.5]);
      }
    }
  }
  return strokes;
}

function distanceTo([fromX, fromY, toX, toY]: Stroke, x: number, y: number): number {
  const dx = toX - fromX;
  const dy = toY - fromY;
  const along = Math.max(0, Math.min(1, ((x - fromX) * dx + (y - fromY) * dy) / (dx * dx + dy * dy)));
  return Math.hypot(x - fromX - along * dx, y - fromY - along * dy);
}
