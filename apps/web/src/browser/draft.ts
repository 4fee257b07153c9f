/** What will be sent next: typed words and a picture. Apart because nothing that goes wrong elsewhere may touch it. */
import { effect, signal } from "@preact/signals";
import type { Signal } from "@preact/signals";

import { PictureError, readPicture } from "./picture.ts";
import type { Picture } from "./picture.ts";
import { loadSamplePicture } from "./samples.ts";
import type { Sample } from "./samples.ts";

const STORAGE_KEY = "llava.draft";

export class Draft {
  readonly text: Signal<string> = signal(stored());
  readonly picture: Signal<Picture | null> = signal(null);
  /** A sentence about a file that could not be taken. */
  readonly problem: Signal<string | null> = signal(null);
  readonly isReading: Signal<boolean> = signal(false);
  /** Counts the pictures asked for, so that the last one wins however long an earlier one takes. */
  #numTaken = 0;

  constructor() {
    effect(() => store(this.text.value));
  }

  async takeFile(file: File): Promise<void> {
    await this.#take(() => readPicture(file));
  }

  async takeSample(sample: Sample): Promise<void> {
    await this.#take(() => loadSamplePicture(sample));
  }

  removePicture(): void {
    this.#numTaken += 1;
    this.picture.value = null;
    this.problem.value = null;
    this.isReading.value = false;
  }

  async #take(read: () => Promise<Picture>): Promise<void> {
    const mine = (this.#numTaken += 1);
    this.problem.value = null;
    this.isReading.value = true;
    try {
      const picture = await read();
      if (mine === this.#numTaken) this.picture.value = picture;
    } catch (thrown) {
      if (mine === this.#numTaken) this.problem.value = sentenceOf(thrown);
    } finally {
      if (mine === this.#numTaken) this.isReading.value = false;
    }
  }
}

function sentenceOf(thrown: unknown): string {
  return thrown instanceof PictureError ? thrown.message : "The picture could not be loaded. Try again.";
}

/** A reload keeps the words; where the browser forbids storage, they live as long as the page. */
function stored(): string {
  try {
    return sessionStorage.getItem(STORAGE_KEY) ?? "";
  } catch {
    return "";
  }
}

function store(text: string): void {
  try {
    sessionStorage.setItem(STORAGE_KEY, text);
  } catch {
    // Forbidden or full: nothing to do.
  }
}
