/**
 * Runs work that is requested with each frame less often when it takes long, so that it uses at most a third of the
 * time and the rest is left for scrolling and typing.
 */

/** Longest run, milliseconds, that may be repeated with each frame, of which there are 60 a second. */
const FITS_MS = 16;

export interface RenderThrottle {
  /** Runs the work now, or after the pause that followed the last run. */
  ask(): void;
  cancel(): void;
}

/** @param work changes what is shown; the time of laying out and painting it counts too */
export function renderThrottle(work: () => void): RenderThrottle {
  let restsUntilMs = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let frame = 0;
  const run = (): void => {
    timer = null;
    frame = 0;
    const startMs = performance.now();
    work();
    // Within a frame, this callback runs after the frame was painted.
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
