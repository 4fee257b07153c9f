/**
 * Changes one tree of elements into another and keeps the equal parts, so that a user's selection survives while an
 * answer grows, unchanged rows are not laid out again, and growing text is only appended.
 */

/** Coloured code: it has elements where newly rendered code has only text. */
const coloured = new WeakSet<Element>();

export function keepColours(code: Element): void {
  coloured.add(code);
}

export function hasColours(code: Element): boolean {
  return coloured.has(code);
}

/** Returns false where the node names differ, so that `wanted` must replace `old`. Moves children out of `wanted`. */
export function patch(old: Node, wanted: Node): boolean {
  if (old.nodeName !== wanted.nodeName) return false;
  if (old instanceof Text && wanted instanceof Text) {
    patchText(old, wanted.data);
    return true;
  }
  if (!(old instanceof Element) || !(wanted instanceof Element)) return false;
  // Temml sets styles one by one, which the content policy forbids in attributes, so attributes cannot be copied.
  if (old.localName === "math") return old.isEqualNode(wanted);
  patchAttributes(old, wanted);
  if (coloured.has(old)) {
    if (old.textContent === wanted.textContent) return true;
    coloured.delete(old);
  }
  patchChildren(old, wanted);
  return true;
}

function patchText(old: Text, data: string): void {
  if (old.data === data) return;
  if (data.startsWith(old.data)) old.appendData(data.slice(old.data.length));
  else old.data = data;
}

function patchAttributes(old: Element, wanted: Element): void {
  for (const name of old.getAttributeNames()) if (!wanted.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of wanted.attributes)
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
}

function patchChildren(old: Element, wanted: Element): void {
  const before = [...old.childNodes];
  const after = [...wanted.childNodes];
  for (const [index, node] of after.entries()) {
    const there = before[index];
    if (there === undefined) old.append(node);
    else if (!patch(there, node)) there.replaceWith(node);
  }
  for (const left of before.slice(after.length)) left.remove();
}
