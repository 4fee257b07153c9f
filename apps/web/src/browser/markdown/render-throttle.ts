/**
 * Work that is asked for with each frame, and done less often where it takes long: then at most a third of the time goes there,
 * and the rest is for scrolling and typing.
 */

/** Of a frame, 60 a second: what is done by then is done with each. */
const FITS_MS = 16;

export interface Paced {
  /** Now, or when the work of last time has been rested from. */
  ask(): void;
  cancel(): void;
}

/** @param work changes what is shown; laying that out and painting it counts as part of it */
export function paced(work: () => void): Paced {
  let restsUntilMs = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let frame = 0;
  const run = (): void => {
    timer = null;
    frame = 0;
    const startMs = performance.now();
    work();
    // Called in a frame, this comes after it was painted.
    setTimeout(() => {
      const tookMs = performance.now() - startMs;
      restsUntilMs = tookMs <= FITS_MS ? 0 : startMs + 3 * tookMs;
    }, 0);
  };
  const cancel = (): void => {
    if (timer !== null) clearTimeout(timer);
    cancelAnimationFrame(frame);
    timer = null;
    frame = 0;
  };
  return {
    ask() {
      if (timer !== null || frame !== 0) return;
      const waitMs = restsUntilMs - performance.now();
      if (waitMs <= 0) return run();
      timer = setTimeout(() => {
        timer = null;
        frame = requestAnimationFrame(run);
      }, waitMs);
    },
    cancel,
  };
}
