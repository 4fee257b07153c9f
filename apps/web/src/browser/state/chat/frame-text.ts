/** Words that come at any speed, shown once a frame: apart because this is where a fast answer would make a page slow. */
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

  /** All of it, whatever was said before. */
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
