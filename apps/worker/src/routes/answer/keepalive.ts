/** Notices when a stream has nothing to say, so that both wire formats can keep their connection awake. */

export const QUIET = Symbol("nothing came for a while");

/**
 * The items of `source`, with `QUIET` in between whenever `intervalMs` passed without one. Ending the iteration ends the
 * source; errors of the source come through.
 */
export async function* markQuiet<T>(
  source: AsyncIterable<T>,
  intervalMs: number,
): AsyncGenerator<T | typeof QUIET> {
  const iterator = source[Symbol.asyncIterator]();
  let isDone = false;
  try {
    let next = iterator.next();
    while (true) {
      const result = await within(next, intervalMs);
      if (result === QUIET) {
        yield QUIET;
        continue;
      }
      if (result.done) {
        isDone = true;
        return;
      }
      yield result.value;
      next = iterator.next();
    }
  } finally {
    if (!isDone) await iterator.return?.();
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | typeof QUIET> {
  const { promise: quiet, resolve } = Promise.withResolvers<typeof QUIET>();
  const timer = setTimeout(() => resolve(QUIET), ms);
  try {
    return await Promise.race([promise, quiet]);
  } finally {
    clearTimeout(timer);
  }
}
