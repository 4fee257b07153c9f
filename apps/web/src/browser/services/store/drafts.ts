/**
 * Stores what is typed and not yet sent, by conversation; the id "" is the next new conversation. It is in local storage and
 * not in the database because it is written at every key press, and local storage has it even when the page ends abruptly.
 */
import { withImages } from "./earlier-records.ts";
import type { ImageRef } from "./records.ts";

export interface StoredDraft {
  readonly text: string;
  readonly images: readonly ImageRef[];
}

const PREFIX = "llava.draft.";
const EMPTY_DRAFT: StoredDraft = { text: "", images: [] };

export function readDraft(id: string): StoredDraft {
  try {
    const stored = localStorage.getItem(PREFIX + id);
    return stored === null ? EMPTY_DRAFT : parseDraft(stored);
  } catch {
    return EMPTY_DRAFT;
  }
}

/** Only this page writes drafts, so a draft is trusted to have the shape of this version or of the one before. */
function parseDraft(stored: string): StoredDraft {
  const draft = withImages(JSON.parse(stored) as Record<string, unknown>);
  return { ...EMPTY_DRAFT, ...(draft as Partial<StoredDraft>) };
}

/** Does nothing where the browser forbids local storage or has no room: then a draft lasts as long as the page. */
export function writeDraft(id: string, draft: StoredDraft): void {
  try {
    const isEmpty = draft.text === "" && draft.images.length === 0;
    if (isEmpty) localStorage.removeItem(PREFIX + id);
    else localStorage.setItem(PREFIX + id, JSON.stringify(draft));
  } catch {
    // The draft in memory is still there.
  }
}

/** Keys of the images of all drafts. */
export function draftedKeys(): ReadonlySet<string> {
  const ids = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
  const drafts = ids.map((name) => readDraft(name.slice(PREFIX.length)));
  return new Set(drafts.flatMap(({ images }) => images.map(({ key }) => key)));
}
