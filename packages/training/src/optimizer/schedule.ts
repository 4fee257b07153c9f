/** Computes the learning rate of each step. */

export interface Schedule {
  /** Largest learning rate, reached after the warm-up. */
  readonly peak: number;
  /** Share of the steps over which the rate rises linearly. */
  readonly warmup: number;
  /** Share of the peak at the end. */
  readonly floor: number;
  /** Number of steps from the start to the floor; a phase may end before. */
  readonly steps: number;
}

/** Linear warm-up, then half a cosine down to floor·peak. `step` counts from 0. */
export function learningRateAt(step: number, { peak, warmup, floor, steps }: Schedule): number {
  const warmupSteps = Math.max(1, Math.round(steps * warmup));
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  const progress = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
  return peak * (floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress))));
}
