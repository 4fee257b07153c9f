/** Computes the size at which an image is sent, and stores the user's choice of it. */

/** Longest side by default, pixels: four tiles of 336, the most that models of the LLaVA family use. */
const DEFAULT_CAP = 1344;
/** Choices of the longest side, pixels; null sends the image at its own size. */
export const CAPS: readonly (number | null)[] = [672, 1344, 2048, null];

const STORED = "llava.picture-cap";

/** The choice stored in this browser. */
export function chosenCap(): number | null {
  const stored = localStorage.getItem(STORED);
  if (stored === "original") return null;
  return CAPS.find((cap) => cap !== null && String(cap) === stored) ?? DEFAULT_CAP;
}

export function chooseCap(cap: number | null): void {
  localStorage.setItem(STORED, cap === null ? "original" : String(cap));
}

/**
 * The size in pixels at which an image is sent: its own if its longest side is within `cap`, else scaled down to it.
 */
export function fitted(
  width: number,
  height: number,
  cap: number | null = DEFAULT_CAP,
): { readonly width: number; readonly height: number } {
  const scale = cap === null ? 1 : Math.min(1, cap / Math.max(width, height));
  const pixels = (edge: number): number => Math.max(1, Math.round(edge * scale));
  return { width: pixels(width), height: pixels(height) };
}
