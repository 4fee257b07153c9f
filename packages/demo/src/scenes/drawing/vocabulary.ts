/** Lists what the demo can draw, how it is called, and which pairs training never sees. */

export const COLORS = ["red", "green", "blue", "yellow", "purple", "orange", "cyan", "pink"] as const;
/** Shapes, in an order that together with that of COLORS decides the held-out pairs. */
export const SHAPES = ["triangle", "star", "diamond", "cross", "circle", "square"] as const;
/** Digits, and the capital letters that look neither like a digit nor like each other. */
export const CHARACTERS: readonly string[] = Array.from("0123456789ACEFHJKLMNPRTUXY");
export const SIZES = ["small", "large"] as const;
export const TEXTURES = ["solid", "striped"] as const;
/** Names of the cells of the 3×3 grid, row by row. */
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
/** Scenes of "text-only" are described in words and never drawn. */
export type Split = "train" | "test" | "held-out" | "text-only";

/** Six of the 48 colour-shape pairs: drawn only in the split "held-out", and else mentioned only in "text-only". */
export function isHeldOut(color: Color | null, shape: Shape): boolean {
  return color !== null && (5 * COLORS.indexOf(color) + 3 * SHAPES.indexOf(shape)) % 8 === 0;
}

export function mayMentionHeldOut(split: Split): boolean {
  return split === "held-out" || split === "text-only";
}
