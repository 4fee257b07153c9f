/** Interleaves several streams into one, all of which end when its reader leaves. */

export interface Interleaved<T> {
  /** Index of its source. */
  readonly index: number;
  readonly value: T;
}

/**
 * The items of all sources as they come. The others begin when the first has given an item: by then the prompt that choices
 * share is in the cache. Ending the iteration ends all; what a source throws comes through.
 */
export async function* interleave<T>(
  sources: readonly AsyncIterable<T>[],
): AsyncGenerator<Interleaved<T>, void, undefined> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const pending = new Map<number, Promise<Interleaved<IteratorResult<T>>>>();
  const pull = (index: number): void => {
    const next = iterators[index]?.next();
    if (next)
      pending.set(
        index,
        next.then((value) => ({ index, value })),
      );
  };
  let numBegun = Math.min(1, sources.length);
  try {
    if (numBegun > 0) pull(0);
    while (pending.size > 0) {
      const { index, value: result } = await Promise.race(pending.values());
      for (; numBegun < sources.length; numBegun += 1) pull(numBegun);
      if (result.done === true) {
        pending.delete(index);
        continue;
      }
      yield { index, value: result.value };
      pull(index);
    }
  } finally {
    // One that is in the middle of its next item ends after it; what it would still throw is dropped.
    for (const next of pending.values()) next.catch(() => undefined);
    await Promise.all(iterators.slice(0, numBegun).map(async (iterator) => await iterator.return?.()));
  }
}
