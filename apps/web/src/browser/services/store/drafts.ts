/**
 * What was typed and not sent, by conversation; empty for the next new one. Not in the database, for it is written with every
 * key and must be there however suddenly the page ends.
 */
import type { PictureRef } from "./records.ts";

export interface StoredDraft {
  readonly text: string;
  readonly pictures: readonly PictureRef[];
}

const PREFIX = "llava.draft.";
const NOTHING: StoredDraft = { text: "", pictures: [] };

export function readDraft(id: string): StoredDraft {
  try {
    const stored = localStorage.getItem(PREFIX + id);
    return stored === null ? NOTHING : (JSON.parse(stored) as StoredDraft);
  } catch {
    return NOTHING;
  }
}

/** Where the browser forbids it, a draft lives as long as the page. */
export function writeDraft(id: string, draft: StoredDraft): void {
  try {
    const isEmpty = draft.text === "" && draft.pictures.length === 0;
    if (isEmpty) localStorage.removeItem(PREFIX + id);
    else localStorage.setItem(PREFIX + id, JSON.stringify(draft));
  } catch {
    // Forbidden or full: nothing to do.
  }
}

/** Of pictures that some draft still holds. */
export function draftedKeys(): ReadonlySet<string> {
  const ids = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
  const drafts = ids.map((name) => readDraft(name.slice(PREFIX.length)));
  return new Set(drafts.flatMap(({ pictures }) => pictures.map(({ key }) => key)));
}
