/** Lifetime of one native object: who holds it, when it is freed, and what using it too late says. */
import type { Pointer } from "./api.ts";
import { RuntimeError } from "./runtime-error.ts";

/**
 * A counted native object. Its owner ends it with `dispose()`, after which `pointer` throws; others that need it
 * to stay (a run under way, a value in a binding) take a `hold()`. It is freed when nobody is left.
 */
export class Handle implements Disposable {
  readonly #noun: string;
  readonly #pointer: Pointer;
  readonly #free: (pointer: Pointer) => void;
  #holders = 1;
  #disposed = false;

  /** `noun` begins the sentence of a use after disposal: "This session". */
  constructor(noun: string, pointer: Pointer, free: (pointer: Pointer) => void) {
    this.#noun = noun;
    this.#pointer = pointer;
    this.#free = free;
  }

  /** Throws `invalid_argument` after disposal. */
  get pointer(): Pointer {
    if (this.#disposed) {
      throw new RuntimeError("invalid_argument", `${this.#noun} was disposed and cannot be used any more.`);
    }
    return this.#pointer;
  }

  /** Keeps the native object until the hold is disposed. Throws after disposal of the handle. */
  hold(): Hold {
    const pointer = this.pointer;
    this.#holders += 1;
    let ended = false;
    return {
      pointer,
      [Symbol.dispose]: () => {
        if (ended) return;
        ended = true;
        this.#release();
      },
    };
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#release();
  }

  #release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.#free(this.#pointer);
  }
}

export interface Hold extends Disposable {
  readonly pointer: Pointer;
}
