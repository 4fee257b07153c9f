/** A queue from the engine's loop to one reader. It is bounded by the answer's length, which the request limits. */

export class EventQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #wake: (() => void) | undefined;
  #isClosed = false;
  readonly #closing = Promise.withResolvers<void>();

  /** Resolves when no more items come, whether those that are there were read or not. */
  get closed(): Promise<void> {
    return this.#closing.promise;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  push(item: T): void {
    if (this.#isClosed) return;
    this.#items.push(item);
    this.#wake?.();
  }

  /** No more items; the reader ends after those that are there. */
  close(): void {
    this.#isClosed = true;
    this.#closing.resolve();
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      while (this.#items.length > 0) {
        const item = this.#items.shift();
        if (item !== undefined) yield item;
      }
      if (this.#isClosed) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
