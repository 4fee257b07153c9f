/** Runs tiny phases in a temporary folder for each test. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach } from "vitest";
import type { Phase } from "../src/loop/phase.ts";
import { train, type TrainerOptions } from "../src/loop/trainer.ts";
import type { TrainingState } from "../src/state/training-state.ts";
import { tinyPhase } from "./tiny-phase.ts";

export let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "llava-training-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const silent = { isTTY: false, write: () => true };
export const options = (change: Partial<TrainerOptions> = {}): TrainerOptions => ({
  folder,
  threads: 1,
  saveEvery: 4,
  probeEvery: 1000,
  progress: silent,
  ...change,
});
export const recipe = (): Phase[] => [
  tinyPhase("one", 7),
  tinyPhase("two", 9, {
    trains: (name) => name.startsWith("first."),
    schedule: { peak: 0.05, warmup: 0.1, floor: 0, steps: 12 },
  }),
];

/** Everything that a state on the host is, bit by bit. */
export function bits(state: TrainingState): object {
  const arrays = Object.fromEntries(
    [...state.parameters, ...state.moments].map(([name, value]) => {
      const { buffer, byteOffset, byteLength } = value.data();
      return [
        name,
        { shape: value.shape, bits: Buffer.from(buffer, byteOffset, byteLength).toString("hex") },
      ];
    }),
  );
  return { arrays, position: state.position, finished: [...state.finished] };
}

/** Trains until `step` steps of all phases together are done, then aborts. */
export async function trainUntil(
  step: number,
  state: TrainingState,
  change: Partial<TrainerOptions> = {},
): Promise<number> {
  const stop = new AbortController();
  let done = 0;
  const onStep = (): void => {
    done += 1;
    if (done === step) stop.abort();
  };
  await train(recipe(), state, options({ signal: stop.signal, onStep, ...change }));
  return done;
}
