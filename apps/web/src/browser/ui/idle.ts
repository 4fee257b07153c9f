/** Runs work when the browser is idle. */

/** Falls back to a timer in Safari, which has no idle callbacks. Returns a function that cancels the work. */
export function whenIdle(work: () => void): () => void {
  if ("requestIdleCallback" in window) {
    const handle = requestIdleCallback(work);
    return () => cancelIdleCallback(handle);
  }
  const timer = setTimeout(work, 50);
  return () => clearTimeout(timer);
}
