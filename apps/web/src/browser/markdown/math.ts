/** TeX to MathML by Temml, loaded with the first formula. */
import temml from "temml";

/** Of growing text the same formulas are drawn with each frame. */
const MAX_KEPT = 300;
/** Longer ones would hold the page up for a moment that one notices. */
const MAX_LENGTH = 5_000;

const kept = new Map<string, Element | null>();

/** Null for what is no formula that it understands. */
export function drawMath(tex: string, isDisplay: boolean): Element | null {
  const key = `${isDisplay ? "display" : "inline"} ${tex}`;
  let drawn = kept.get(key);
  if (drawn === undefined) {
    drawn = draw(tex, isDisplay);
    const [oldest] = kept.size < MAX_KEPT ? [] : kept.keys();
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(key, drawn);
  }
  return drawn === null ? null : (drawn.cloneNode(true) as Element);
}

function draw(tex: string, isDisplay: boolean): Element | null {
  if (tex.length > MAX_LENGTH) return null;
  const host = document.createElement("span");
  try {
    // Without trust no formula makes a link, loads an image or names a class.
    temml.render(tex, host, { displayMode: isDisplay, throwOnError: true, trust: false, maxExpand: 200 });
  } catch {
    return null;
  }
  for (const element of host.querySelectorAll("[id], [href]")) {
    // Labels would be names among the page's own.
    element.removeAttribute("id");
    element.removeAttribute("href");
  }
  return host.firstElementChild;
}
