/**
 * Collects text that arrives at any speed and publishes it once a frame, so that a fast answer does not slow the page
 * down.
 */
import { signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";

export class FrameText {
  readonly #shown: Signal<string>;
  #waiting = "";
  #frame = 0;

  constructor(text = "") {
    this.#shown = signal(text);
  }

  get shown(): ReadonlySignal<string> {
    return this.#shown;
  }

  add(text: string): void {
    this.#waiting += text;
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.flush());
  }

  /** Replaces the whole text. */
  set(text: string): void {
    this.#waiting = "";
    this.#shown.value = text;
  }

  flush(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#waiting !== "") this.#shown.value += this.#waiting;
    this.#waiting = "";
  }
}
