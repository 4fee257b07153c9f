/** What screen readers are told of answers: apart from the words on the page, which would be read letter by letter as they come. */
import { signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

/** When an answer is read: once it is whole, paragraph by paragraph as they are finished, or not by itself. */
export type Reading = "whole" | "paragraphs" | "never";

export const READINGS: readonly Reading[] = ["whole", "paragraphs", "never"];

const KEY = "llava.reading";
const PARAGRAPH_END = "\n\n";

export class Spoken {
  readonly #reading: Signal<Reading> = signal(
    READINGS.find((name) => name === localStorage.getItem(KEY)) ?? "whole",
  );
  readonly #paragraphs: Signal<readonly string[]> = signal([]);
  /** The answer that is being told, and how much of it has been. */
  #id = "";
  #told = 0;

  get reading(): ReadonlySignal<Reading> {
    return this.#reading;
  }

  /** Of one answer; each is read when it comes. */
  get paragraphs(): ReadonlySignal<readonly string[]> {
    return this.#paragraphs;
  }

  choose(reading: Reading): void {
    this.#reading.value = reading;
    localStorage.setItem(KEY, reading);
  }

  /** @param text the answer's so far */
  grow(id: string, text: string): void {
    this.#turnTo(id);
    if (this.#reading.peek() === "paragraphs") this.#tell(text, text.lastIndexOf(PARAGRAPH_END));
  }

  finish(id: string, text: string): void {
    this.#turnTo(id);
    if (this.#reading.peek() !== "never") this.#tell(text, text.length);
  }

  #turnTo(id: string): void {
    if (id === this.#id) return;
    this.#id = id;
    this.#told = 0;
    this.#paragraphs.value = [];
  }

  #tell(text: string, end: number): void {
    const paragraph = text.slice(this.#told, Math.max(end, 0)).trim();
    if (paragraph === "") return;
    this.#told = end;
    this.#paragraphs.value = [...this.#paragraphs.peek(), paragraph];
  }
}
