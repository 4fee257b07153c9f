/** Holds the draft: the text and the images that will be sent next. No failure elsewhere changes it. */
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
  /** A sentence about files that could not be used. */
  readonly problem: Signal<string | null> = signal(null);
  /** Number of images that are being read. */
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

  /** Reads files in their order, as many as a question may have. */
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

  /** Replaces an image by another one; null when the other could not be read. */
  async exchange(key: string, read: () => Promise<ReadImage>): Promise<ImageRef | null> {
    this.problem.value = null;
    return await this.#take(read, key);
  }

  /** @param left number of images that are left out where there is no room */
  #hasRoom(left: number): boolean {
    if (this.#images.value.length + this.numReading.value < MAX_CHAT_IMAGES) return true;
    this.#report(TEXTS.composer.tooManyImages(MAX_CHAT_IMAGES, left));
    return false;
  }

  /** @param place key of the image that is replaced; without it the image is added at the end */
  async #take(read: () => Promise<ReadImage>, place?: string): Promise<ImageRef | null> {
    const id = this.#id;
    this.numReading.value += 1;
    try {
      const { ref, blob } = await read();
      await this.#store.putImage(ref.key, blob);
      // Another conversation may have been opened during the read, and the image does not belong to it.
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

  /** Appends a sentence to those about the files before. */
  #report(sentence: string): void {
    const before = this.problem.value;
    this.problem.value = before === null ? sentence : `${before} ${sentence}`;
  }

  /** Resolves when no image is being read any more. */
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

  /** Sets how the model shall see an image. */
  setMode(key: string, mode: ImageMode): void {
    this.#images.value = this.#images.value.map((image) => (image.key === key ? { ...image, mode } : image));
    this.#write();
  }

  /** Returns the draft and empties it. */
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

  /** Gives the draft to the conversation that has just begun. */
  moveTo(id: string): void {
    if (this.#id !== null) writeDraft(this.#id, { text: "", images: [] });
    this.#id = id;
    this.#write();
  }

  /** Opens the draft of another conversation; the id "" is the next new one. */
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
