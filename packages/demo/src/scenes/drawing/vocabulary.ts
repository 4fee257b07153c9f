// The closed world of the demo: what can be drawn, what it is called, and which pairs training never sees.

export const COLORS = ["red", "green", "blue", "yellow", "purple", "orange", "cyan", "pink"] as const;
/** The order matters: together with COLORS it decides the held-out pairs. */
export const SHAPES = ["triangle", "star", "diamond", "cross", "circle", "square"] as const;
/** Digits and the capital letters that nobody confuses with a digit or with each other. */
export const CHARACTERS: readonly string[] = Array.from("0123456789ACEFHJKLMNPRTUXY");
export const SIZES = ["small", "large"] as const;
export const TEXTURES = ["solid", "striped"] as const;
/** Row by row, as the cells of the 3×3 grid are numbered. */
export const PLACES = [
  "top left",
  "top center",
  "top right",
  "middle left",
  "center",
  "middle right",
  "bottom left",
  "bottom center",
  "bottom right",
] as const;

export type Color = (typeof COLORS)[number];
export type Shape = (typeof SHAPES)[number];
export type Size = (typeof SIZES)[number];
export type Texture = (typeof TEXTURES)[number];
export type Place = (typeof PLACES)[number];
/** Scenes of "told" are only put into words, never drawn. */
export type Split = "train" | "test" | "held-out" | "told";

/** Six of the 48 colour-shape pairs: drawn only in the split "held-out", and else mentioned only in "told". */
export function isHeldOut(color: Color | null, shape: Shape): boolean {
  return color !== null && (5 * COLORS.indexOf(color) + 3 * SHAPES.indexOf(shape)) % 8 === 0;
}

export function mayMentionHeldOut(split: Split): boolean {
  return split === "held-out" || split === "told";
}
