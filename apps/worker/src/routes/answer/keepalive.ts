/** Marks pauses of a stream, so that both wire formats can keep their connection open. */

export const IDLE = Symbol("idle");

/**
 * The items of `source`, with `IDLE` in between whenever `intervalMs` passed without one. Ending the iteration ends the
 * source; errors of the source come through.
 */
export async function* markIdle<T>(
  source: AsyncIterable<T>,
  intervalMs: number,
): AsyncGenerator<T | typeof IDLE> {
  const iterator = source[Symbol.asyncIterator]();
  let isDone = false;
  try {
    let next = iterator.next();
    while (true) {
      const result = await within(next, intervalMs);
      if (result === IDLE) {
        yield IDLE;
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

async function within<T>(promise: Promise<T>, ms: number): Promise<T | typeof IDLE> {
  const { promise: timeout, resolve } = Promise.withResolvers<typeof IDLE>();
  const timer = setTimeout(() => resolve(IDLE), ms);
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
