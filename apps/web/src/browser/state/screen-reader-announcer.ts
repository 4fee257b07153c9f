/** Announces answers to screen readers, which would read the growing text of the page itself letter by letter. */
import { signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

/** When an answer is announced: once it is whole, paragraph by paragraph, or never. */
export type Reading = "whole" | "paragraphs" | "never";

export const READINGS: readonly Reading[] = ["whole", "paragraphs", "never"];

const KEY = "llava.reading";
const PARAGRAPH_END = "\n\n";

export class ScreenReaderAnnouncer {
  readonly #reading: Signal<Reading> = signal(
    READINGS.find((name) => name === localStorage.getItem(KEY)) ?? "whole",
  );
  readonly #paragraphs: Signal<readonly string[]> = signal([]);
  /** Id of the answer that is announced, and the length of the text that has been. */
  #id = "";
  #announcedLength = 0;

  get reading(): ReadonlySignal<Reading> {
    return this.#reading;
  }

  /** Announced paragraphs of one answer; a screen reader reads each when it is added. */
  get paragraphs(): ReadonlySignal<readonly string[]> {
    return this.#paragraphs;
  }

  choose(reading: Reading): void {
    this.#reading.value = reading;
    localStorage.setItem(KEY, reading);
  }

  /** @param text the answer so far */
  grow(id: string, text: string): void {
    this.#startAnswer(id);
    if (this.#reading.peek() === "paragraphs") this.#announce(text, text.lastIndexOf(PARAGRAPH_END));
  }

  finish(id: string, text: string): void {
    this.#startAnswer(id);
    if (this.#reading.peek() !== "never") this.#announce(text, text.length);
  }

  #startAnswer(id: string): void {
    if (id === this.#id) return;
    this.#id = id;
    this.#announcedLength = 0;
    this.#paragraphs.value = [];
  }

  #announce(text: string, end: number): void {
    const paragraph = text.slice(this.#announcedLength, Math.max(end, 0)).trim();
    if (paragraph === "") return;
    this.#announcedLength = end;
    this.#paragraphs.value = [...this.#paragraphs.peek(), paragraph];
  }
}
