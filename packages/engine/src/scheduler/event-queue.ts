/** EventQueue carries events from the engine's loop to one reader. Its length is at most that of the answer. */

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

  /** Ends the queue: nothing can be added, and the reader ends after the items that are there. */
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
