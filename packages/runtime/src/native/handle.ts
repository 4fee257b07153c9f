/** A handle counts the holds on one native object and frees the object when the last one ends. */
import type { Pointer } from "./function-table.ts";
import { RuntimeError } from "./runtime-error.ts";

/**
 * A counted native object. Its owner ends its use with `dispose()`, after which `pointer` throws; a run under way or a
 * binding that needs the object to stay takes a `hold()`. It is freed when no hold is left.
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
