/** At which size an image is sent. */

/** Above this, models of the LLaVA family see nothing more: four tiles of 336 pixels. */
const DEFAULT_CAP = 1344;
/** Of the longer side, pixels; null is the image as it is. */
export const CAPS: readonly (number | null)[] = [672, 1344, 2048, null];

const STORED = "llava.picture-cap";

/** What was chosen on this browser. */
export function chosenCap(): number | null {
  const stored = localStorage.getItem(STORED);
  if (stored === "original") return null;
  return CAPS.find((cap) => cap !== null && String(cap) === stored) ?? DEFAULT_CAP;
}

export function chooseCap(cap: number | null): void {
  localStorage.setItem(STORED, cap === null ? "original" : String(cap));
}

/** The size in pixels at which an image is sent: whole if it fits, else its longest side is `cap`. */
export function fitted(
  width: number,
  height: number,
  cap: number | null = DEFAULT_CAP,
): { readonly width: number; readonly height: number } {
  const scale = cap === null ? 1 : Math.min(1, cap / Math.max(width, height));
  const pixels = (edge: number): number => Math.max(1, Math.round(edge * scale));
  return { width: pixels(width), height: pixels(height) };
}
