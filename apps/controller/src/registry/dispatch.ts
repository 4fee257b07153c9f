/**
 * Chooses the worker for a request: LLaVA's two methods (`llava/serve/controller.py`) and two of ours, as pure functions, so
 * that their formulas can be read, tested and simulated alone.
 */

export const DISPATCH_METHODS = ["lottery", "shortest_queue", "power_of_two", "image_affinity"] as const;
export type DispatchMethod = (typeof DISPATCH_METHODS)[number];

/** What the choice depends on. */
export interface Candidate {
  readonly speed: number;
  /** LLaVA's count: the queue that the worker last reported, and the requests given to it since. */
  readonly queueLength: number;
  /** Whether that report is new enough to be used. */
  readonly isQueueKnown: boolean;
  /** Requests that this controller is relaying to it now. */
  readonly numLeases: number;
  /** The most requests that it takes, running and waiting; null when it has not reported it. */
  readonly capacity: number | null;
  /** Whether it probably still has what this key names, from an earlier request. */
  readonly holds: (key: string) => boolean;
}

/** The names of what a worker may still have from an earlier request like this one. */
export interface RequestKeys {
  readonly imageKeys: readonly string[];
  /** The key of the conversation's beginning; null when it is too short for one. */
  readonly promptKey: string | null;
}

export const NO_KEYS: RequestKeys = { imageKeys: [], promptKey: null };

/** Below this sum of speeds the original's lottery has no winner (`controller.py`, get_worker_address). */
const LEAST_TOTAL_SPEED = 1e-4;
/** The weight of one mean load of difference against a full match: β of vllm-project/production-stack, PR 1035. */
const LOAD_WEIGHT = 1;
/** Scores that differ by less differ by rounding only. */
const SCORE_STEP = 1e-9;
/** A load that comes last: more than the longest queue of the slowest worker that may register. */
const LOAD_WITHOUT_SPEED = 1e9;

/** @param random numbers from 0 up to 1. @returns one of `candidates`, null when none can be chosen. */
export function choose<T extends Candidate>(
  method: DispatchMethod,
  candidates: readonly T[],
  random: () => number,
  request: RequestKeys = NO_KEYS,
): T | null {
  switch (method) {
    case "lottery":
      return drawLottery(candidates, random());
    case "shortest_queue":
      return findShortestQueue(candidates);
    case "power_of_two":
      return findShortestQueue(drawTwo(candidates, random));
    case "image_affinity":
      return findBestMatch(candidates, request);
  }
}

/** One draw with chances in proportion to speed. @param random a number from 0 up to 1 */
export function drawLottery<T extends Pick<Candidate, "speed">>(
  candidates: readonly T[],
  random: number,
): T | null {
  const total = candidates.reduce((sum, { speed }) => sum + speed, 0);
  if (total < LEAST_TOTAL_SPEED) return null;
  let passed = 0;
  for (const candidate of candidates) {
    passed += candidate.speed / total;
    if (random < passed) return candidate;
  }
  return candidates.findLast(({ speed }) => speed > 0) ?? null;
}

/** The candidate with the least load; the first of equals. */
export function findShortestQueue<T extends Candidate>(candidates: readonly T[]): T | null {
  const loads = loadsOf(candidates);
  const ranks = candidates.map((candidate, index): Rank => [loads[index] ?? 0, lastLoad(candidate)]);
  return candidates[indexOfLeast(ranks)] ?? null;
}

/**
 * The candidate with the highest score: the share of the request's keys that it holds, less the distance of its load from
 * the mean, in mean loads. Among equals it is the one that holds more, then the first. A full one is not chosen while
 * another has room.
 */
export function findBestMatch<T extends Candidate>(candidates: readonly T[], request: RequestKeys): T | null {
  const withRoom = candidates.filter(
    ({ capacity, isQueueKnown, queueLength, numLeases }) =>
      capacity === null || (isQueueKnown ? queueLength : numLeases) < capacity,
  );
  const fit = withRoom.length > 0 ? withRoom : candidates;
  const keys = [...request.imageKeys, ...(request.promptKey === null ? [] : [request.promptKey])];
  const loads = loadsOf(fit);
  const mean = loads.reduce((sum, load) => sum + load, 0) / loads.length;
  const ranks = fit.map(({ holds }, index): Rank => {
    const matched = keys.length === 0 ? 0 : keys.filter((key) => holds(key)).length / keys.length;
    const excess = ((loads[index] ?? 0) - mean) / Math.max(1, mean);
    return [Math.round((LOAD_WEIGHT * excess - matched) / SCORE_STEP), -matched];
  });
  return fit[indexOfLeast(ranks)] ?? null;
}

/** Two different candidates, or all when there are no more than two. */
function drawTwo<T>(candidates: readonly T[], random: () => number): readonly T[] {
  if (candidates.length <= 2) return candidates;
  const first = Math.floor(random() * candidates.length);
  const other = Math.floor(random() * (candidates.length - 1));
  const second = other < first ? other : other + 1;
  return candidates.filter((_candidate, index) => index === first || index === second);
}

/**
 * The queue per speed of each candidate. Unless the queues of all are known, the number of requests that this controller has
 * given to each stands for them, as numbers of the two kinds cannot be compared.
 */
function loadsOf(candidates: readonly Candidate[]): readonly number[] {
  const areKnown = candidates.every(({ isQueueKnown }) => isQueueKnown);
  return candidates.map(({ queueLength, numLeases, speed }) =>
    perSpeed(areKnown ? queueLength : numLeases, speed),
  );
}

/** Decides between candidates that are equal by our own count, by their last reports. */
function lastLoad({ queueLength, speed }: Candidate): number {
  return perSpeed(queueLength, speed);
}

function perSpeed(number: number, speed: number): number {
  return speed > 0 ? number / speed : LOAD_WITHOUT_SPEED;
}

/** Two numbers of which the second decides between candidates with equal first ones. */
type Rank = readonly [number, number];

/** The index of the first of the least ranks; -1 when there is none. */
function indexOfLeast(ranks: readonly Rank[]): number {
  let best = -1;
  let least: Rank = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const [index, rank] of ranks.entries()) {
    const isLess = rank[0] < least[0] || (rank[0] === least[0] && rank[1] < least[1]);
    if (!isLess) continue;
    best = index;
    least = rank;
  }
  return best;
}
