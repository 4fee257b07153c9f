/**
 * Shows formulas: their source until the renderer is loaded, which happens with the first formula, and MathML
 * afterwards.
 */

type Draw = (tex: string, isDisplay: boolean) => Element | null;

let draw: Draw | null = null;
let isLoading = false;

/** @param source text that is shown while, or when, the formula cannot be rendered */
export function formula(tex: string, source: string, isDisplay: boolean): HTMLElement {
  const host = document.createElement("span");
  host.className = isDisplay ? "math math-display" : "math";
  host.dataset["tex"] = tex;
  host.textContent = source;
  if (draw === null) load();
  else drawInto(host, draw);
  return host;
}

function load(): void {
  if (isLoading) return;
  isLoading = true;
  // The source is readable too; the next formula tries again.
  loadAndDraw().catch(() => (isLoading = false));
}

async function loadAndDraw(): Promise<void> {
  const { drawMath } = await import("./math.ts");
  draw = drawMath;
  for (const host of document.querySelectorAll<HTMLElement>(".math[data-tex]")) drawInto(host, drawMath);
}

function drawInto(host: HTMLElement, draw: Draw): void {
  const drawn = draw(host.dataset["tex"] ?? "", host.classList.contains("math-display"));
  if (drawn) host.replaceChildren(drawn);
}
