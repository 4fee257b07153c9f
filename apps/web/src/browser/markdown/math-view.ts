/** Formulas as elements: their source until what draws them is loaded, with the first formula; then MathML. */

type Draw = (tex: string, isDisplay: boolean) => Element | null;

let draw: Draw | null = null;
let isLoading = false;

/** @param source what is shown as long as, or if, it cannot be drawn */
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
  // The source can be read as well; the next formula tries again.
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
