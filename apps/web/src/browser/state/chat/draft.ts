/** What will be sent next: typed words and pictures. Apart because nothing that goes wrong elsewhere may touch it. */
import { CHAT_PICTURES } from "../../images/image-limit.ts";
import { signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

import { PictureError, readPicture } from "../../images/read-image.ts";
import type { ReadPicture } from "../../images/read-image.ts";
import { readDraft, writeDraft } from "../../services/store/drafts.ts";
import type { Store } from "../../services/store/store.ts";
import { TEXTS } from "../../ui/texts.ts";
import type { ImageMode, PictureRef } from "../../services/store/records.ts";

export class Draft {
  readonly text: Signal<string> = signal("");
  readonly #pictures: Signal<readonly PictureRef[]> = signal([]);
  /** A sentence about a file that could not be taken. */
  readonly problem: Signal<string | null> = signal(null);
  /** Pictures that are being opened. */
  readonly numReading: Signal<number> = signal(0);
  readonly #store: Store;
  #id: string | null = null;

  constructor(store: Store) {
    this.#store = store;
  }

  get pictures(): ReadonlySignal<readonly PictureRef[]> {
    return this.#pictures;
  }

  get isEmpty(): boolean {
    return this.text.value.trim() === "" && this.#pictures.value.length === 0;
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
      await this.#take(() => readPicture(file));
    }
  }

  async take(read: () => Promise<ReadPicture>): Promise<void> {
    this.problem.value = null;
    if (this.#hasRoom(1)) await this.#take(read);
  }

  /** Another picture in the place of one; null when it could not be read. */
  async exchange(key: string, read: () => Promise<ReadPicture>): Promise<PictureRef | null> {
    this.problem.value = null;
    return await this.#take(read, key);
  }

  /** @param left how many are not taken where there is none */
  #hasRoom(left: number): boolean {
    if (this.#pictures.value.length + this.numReading.value < CHAT_PICTURES) return true;
    this.#report(TEXTS.composer.tooManyPictures(CHAT_PICTURES, left));
    return false;
  }

  /** @param place the key of the picture in whose place it comes; at the end when none is given */
  async #take(read: () => Promise<ReadPicture>, place?: string): Promise<PictureRef | null> {
    const id = this.#id;
    this.numReading.value += 1;
    try {
      const { ref, blob } = await read();
      await this.#store.putPicture(ref.key, blob);
      // Meanwhile another conversation may have been opened: it is not for that one.
      if (id !== this.#id || this.#pictures.value.some(({ key }) => key === ref.key)) return null;
      this.#pictures.value =
        place === undefined
          ? [...this.#pictures.value, ref]
          : this.#pictures.value.map((picture) => (picture.key === place ? ref : picture));
      this.#write();
      return ref;
    } catch (thrown) {
      this.#report(thrown instanceof PictureError ? thrown.message : TEXTS.composer.pictureFailed);
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

  /** Resolves when no picture is being opened any more. */
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
    this.#pictures.value = this.#pictures.value.filter((picture) => picture.key !== key);
    this.#write();
  }

  /** @param step -1 to the left, 1 to the right */
  move(key: string, step: -1 | 1): void {
    const pictures = [...this.#pictures.value];
    const from = pictures.findIndex((picture) => picture.key === key);
    const [picture] = pictures.splice(from, 1);
    if (picture === undefined || from < 0) return;
    pictures.splice(Math.max(0, Math.min(pictures.length, from + step)), 0, picture);
    this.#pictures.value = pictures;
    this.#write();
  }

  /** How the model shall see one of them. */
  setMode(key: string, mode: ImageMode): void {
    this.#pictures.value = this.#pictures.value.map((picture) =>
      picture.key === key ? { ...picture, mode } : picture,
    );
    this.#write();
  }

  /** What is to be sent; the draft is empty afterwards. */
  give(): { readonly text: string; readonly pictures: readonly PictureRef[] } {
    const given = { text: this.text.value.trim(), pictures: this.#pictures.value };
    this.set(given.text, []);
    this.text.value = "";
    this.#write();
    return given;
  }

  set(text: string, pictures: readonly PictureRef[]): void {
    this.text.value = text;
    this.#pictures.value = pictures;
    this.problem.value = null;
    this.#write();
  }

  /** What is typed belongs to the conversation that has just begun. */
  moveTo(id: string): void {
    if (this.#id !== null) writeDraft(this.#id, { text: "", pictures: [] });
    this.#id = id;
    this.#write();
  }

  /** That of another conversation; empty for the next new one. */
  open(id: string): void {
    if (id === this.#id) return;
    this.#id = id;
    const { text, pictures } = readDraft(id);
    this.text.value = text;
    this.#pictures.value = pictures;
    this.problem.value = null;
  }

  #write(): void {
    if (this.#id === null) return;
    writeDraft(this.#id, { text: this.text.peek(), pictures: this.#pictures.peek() });
  }
}
