/** Work that is asked for with each frame, and done less often where it takes long: at most half of the time goes there. */

export interface Paced {
  /** Now, or when the work of last time has been rested from. */
  ask(): void;
  cancel(): void;
}

export function paced(work: () => void): Paced {
  let restsUntilMs = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const run = (): void => {
    timer = null;
    const startMs = performance.now();
    work();
    const endMs = performance.now();
    restsUntilMs = endMs + (endMs - startMs);
  };
  const cancel = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  return {
    ask() {
      if (timer !== null) return;
      const waitMs = restsUntilMs - performance.now();
      if (waitMs <= 0) run();
      else timer = setTimeout(run, waitMs);
    },
    cancel,
  };
}
