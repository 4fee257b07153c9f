/** Which worker gets a request: LLaVA's two methods as pure functions, apart so that their formulas can be read and tested alone. */

export const DISPATCH_METHODS = ["lottery", "shortest_queue"] as const;
export type DispatchMethod = (typeof DISPATCH_METHODS)[number];

/** What the choice depends on. */
export interface Candidate {
  readonly speed: number;
  readonly queueLength: number;
}

/** Below this sum of speeds the original's lottery has no winner (`controller.py`, get_worker_address). */
const LEAST_TOTAL_SPEED = 1e-4;

/** @param random a number from 0 up to 1. @returns one of `candidates`, null when none can be chosen. */
export function choose<T extends Candidate>(
  method: DispatchMethod,
  candidates: readonly T[],
  random: () => number,
): T | null {
  return method === "lottery" ? drawLottery(candidates, random()) : findShortestQueue(candidates);
}

/** One draw with chances in proportion to speed. */
export function drawLottery<T extends Candidate>(candidates: readonly T[], random: number): T | null {
  const total = candidates.reduce((sum, { speed }) => sum + speed, 0);
  if (total < LEAST_TOTAL_SPEED) return null;
  let passed = 0;
  for (const candidate of candidates) {
    passed += candidate.speed / total;
    if (random < passed) return candidate;
  }
  return candidates.findLast(({ speed }) => speed > 0) ?? null;
}

/** The least `queueLength / speed`, the first of equals. A worker without speed comes last. */
export function findShortestQueue<T extends Candidate>(candidates: readonly T[]): T | null {
  let best: T | null = null;
  for (const candidate of candidates) {
    if (best === null || load(candidate) < load(best)) best = candidate;
  }
  return best;
}

function load({ queueLength, speed }: Candidate): number {
  return speed > 0 ? queueLength / speed : Number.POSITIVE_INFINITY;
}
