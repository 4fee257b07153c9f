/** Renders TeX to MathML by Temml; loaded with the first formula. */
import temml from "temml";

/** Number of rendered formulas that are kept, because growing text renders the same formulas with each frame. */
const MAX_KEPT = 300;
/** Longest formula in characters; longer ones would block the page noticeably. */
const MAX_LENGTH = 5_000;

const kept = new Map<string, Element | null>();

/** The rendered formula; null where Temml cannot parse it. */
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
    // With `trust: false` no formula can make a link, load an image or set a class.
    temml.render(tex, host, { displayMode: isDisplay, throwOnError: true, trust: false, maxExpand: 200 });
  } catch {
    return null;
  }
  for (const element of host.querySelectorAll("[id], [href]")) {
    // Labels would become ids among those of the page.
    element.removeAttribute("id");
    element.removeAttribute("href");
  }
  return host.firstElementChild;
}
