/** What will be sent next: typed words and images. Apart because nothing that goes wrong elsewhere may touch it. */
import { MAX_CHAT_IMAGES } from "../../images/image-limit.ts";
import { signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import { ImageError, readImage } from "../../images/read-image.ts";
import type { ReadImage } from "../../images/read-image.ts";
import { readDraft, writeDraft } from "../../services/store/drafts.ts";
import type { Store } from "../../services/store/store.ts";
import { TEXTS } from "../../ui/texts.ts";
import type { ImageMode, ImageRef } from "../../services/store/records.ts";

export class Draft {
  readonly text: Signal<string> = signal("");
  readonly #images: Signal<readonly ImageRef[]> = signal([]);
  /** A sentence about a file that could not be taken. */
  readonly problem: Signal<string | null> = signal(null);
  /** Images that are being opened. */
  readonly numReading: Signal<number> = signal(0);
  readonly #store: Store;
  #id: string | null = null;

  constructor(store: Store) {
    this.#store = store;
  }

  get images(): ReadonlySignal<readonly ImageRef[]> {
    return this.#images;
  }

  get isEmpty(): boolean {
    return this.text.value.trim() === "" && this.#images.value.length === 0;
  }

  type(text: string): void {
    this.text.value = text;
    this.#write();
  }

  /** Takes files in their order, as many as a question may have. */
  async takeFiles(files: readonly File[]): Promise<void> {
    this.problem.value = null;
    for (const [index, file] of files.entries()) {
      if (!this.#hasRoom(files.length - index)) return;
      await this.#take(() => readImage(file));
    }
  }

  async take(read: () => Promise<ReadImage>): Promise<void> {
    this.problem.value = null;
    if (this.#hasRoom(1)) await this.#take(read);
  }

  /** Another image in the place of one; null when it could not be read. */
  async exchange(key: string, read: () => Promise<ReadImage>): Promise<ImageRef | null> {
    this.problem.value = null;
    return await this.#take(read, key);
  }

  /** @param left how many are not taken where there is none */
  #hasRoom(left: number): boolean {
    if (this.#images.value.length + this.numReading.value < MAX_CHAT_IMAGES) return true;
    this.#report(TEXTS.composer.tooManyImages(MAX_CHAT_IMAGES, left));
    return false;
  }

  /** @param place the key of the image in whose place it comes; at the end when none is given */
  async #take(read: () => Promise<ReadImage>, place?: string): Promise<ImageRef | null> {
    const id = this.#id;
    this.numReading.value += 1;
    try {
      const { ref, blob } = await read();
      await this.#store.putImage(ref.key, blob);
      // Meanwhile another conversation may have been opened: it is not for that one.
      if (id !== this.#id || this.#images.value.some(({ key }) => key === ref.key)) return null;
      this.#images.value =
        place === undefined
          ? [...this.#images.value, ref]
          : this.#images.value.map((image) => (image.key === place ? ref : image));
      this.#write();
      return ref;
    } catch (thrown) {
      this.#report(thrown instanceof ImageError ? thrown.message : TEXTS.composer.imageFailed);
      return null;
    } finally {
      this.numReading.value -= 1;
    }
  }

  /** After what was said of the files before. */
  #report(sentence: string): void {
    const before = this.problem.value;
    this.problem.value = before === null ? sentence : `${before} ${sentence}`;
  }

  /** Resolves when no image is being opened any more. */
  async settled(): Promise<void> {
    while (this.numReading.value > 0)
      await new Promise<void>((resolve) => {
        const stop = this.numReading.subscribe((count) => {
          if (count === 0) queueMicrotask(() => (stop(), resolve()));
        });
      });
  }

  remove(key: string): void {
    this.problem.value = null;
    this.#images.value = this.#images.value.filter((image) => image.key !== key);
    this.#write();
  }

  /** @param step -1 to the left, 1 to the right */
  move(key: string, step: -1 | 1): void {
    const images = [...this.#images.value];
    const from = images.findIndex((image) => image.key === key);
    const [image] = images.splice(from, 1);
    if (image === undefined || from < 0) return;
    images.splice(Math.max(0, Math.min(images.length, from + step)), 0, image);
    this.#images.value = images;
    this.#write();
  }

  /** How the model shall see one of them. */
  setMode(key: string, mode: ImageMode): void {
    this.#images.value = this.#images.value.map((image) => (image.key === key ? { ...image, mode } : image));
    this.#write();
  }

  /** What is to be sent; the draft is empty afterwards. */
  give(): { readonly text: string; readonly images: readonly ImageRef[] } {
    const given = { text: this.text.value.trim(), images: this.#images.value };
    this.set(given.text, []);
    this.text.value = "";
    this.#write();
    return given;
  }

  set(text: string, images: readonly ImageRef[]): void {
    this.text.value = text;
    this.#images.value = images;
    this.problem.value = null;
    this.#write();
  }

  /** What is typed belongs to the conversation that has just begun. */
  moveTo(id: string): void {
    if (this.#id !== null) writeDraft(this.#id, { text: "", images: [] });
    this.#id = id;
    this.#write();
  }

  /** That of another conversation; empty for the next new one. */
  open(id: string): void {
    if (id === this.#id) return;
    this.#id = id;
    const { text, images } = readDraft(id);
    this.text.value = text;
    this.#images.value = images;
    this.problem.value = null;
  }

  #write(): void {
    if (this.#id === null) return;
    writeDraft(this.#id, { text: this.text.peek(), images: this.#images.peek() });
  }
}
