/**
 * Time (ms) that tests wait for a condition. Tests check what happens, not how fast: on a busy machine vitest's own second is
 * over before a browser has decoded eight images.
 */
export const TEST_TIMEOUTS = { timeout: 60_000, interval: 20 };
