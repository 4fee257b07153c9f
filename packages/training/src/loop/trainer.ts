/** Trains phase after phase: each is a compiled step over batches that are functions of the step's number. */
import type { ComputeType } from "@llava/onnx";
import { LlavaError } from "@llava/protocol";
import { CPU, type Device } from "@llava/runtime";
import { BatchBuffer } from "../data/batch-buffer.ts";
import { learningRateAt } from "../optimizer/schedule.ts";
import type { TrainingState } from "../state/training-state.ts";
import { compilePhase, type Phase } from "./phase.ts";
import { Progress, type ProgressStream } from "./training-progress.ts";
import type { TrainingStep } from "./training-step.ts";

/** What a step did, for a log of metrics. */
export interface StepRecord {
  readonly phase: string;
  /** Number of the phase's steps that are done. */
  readonly step: number;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
}

export interface TrainerOptions {
  /** Folder that the state is saved in. */
  readonly folder: string;
  /** Device that holds weights and moments and computes the steps; the CPU when left out. */
  readonly device?: Device | undefined;
  /** Element type of activations and of the matrix products; float32 when left out. */
  readonly computeType?: ComputeType | undefined;
  /** Threads of the runtime; as many as physical cores when left out. */
  readonly threads?: number | undefined;
  /** Number of steps between two saves of the whole state. */
  readonly saveEvery: number;
  /** Number of steps between two probes of the quality. */
  readonly probeEvery: number;
  /** Name of the phase after which training stops; the last one when left out. */
  readonly until?: string | undefined;
  /** Signal that ends the run after the step under way, with the state saved. */
  readonly signal?: AbortSignal;
  readonly onStep?: (record: StepRecord) => void;
  readonly log?: (line: string) => void;
  /** Stream that the progress is drawn on; standard error when left out. */
  readonly progress?: ProgressStream;
}

/**
 * Trains until every phase is finished or the signal aborts; either way the state is saved after the last step. Rejects
 * when a phase fails, and the folder then holds the last state that was saved; rejects with `invalid_checkpoint` for the
 * state of another recipe. The state is left on the device.
 */
export async function train(
  phases: readonly Phase[],
  state: TrainingState,
  options: TrainerOptions,
): Promise<void> {
  requireSameRecipe(phases, state);
  await state.moveTo(options.device ?? CPU);
  for (const phase of phases) {
    if (!state.finished.has(phase.name)) {
      if (options.signal?.aborted) return;
      state.enter(phase.name);
      await trainPhase(phase, state, options);
      if ((state.position?.step ?? 0) < phase.steps) return;
      state.finished.add(phase.name);
      await state.save(options.folder);
    }
    if (phase.name === options.until) return;
  }
}

/** A run of other phases, or of phases with other names, cannot go on: its next step would be one of a new phase. */
function requireSameRecipe(phases: readonly Phase[], { finished, position }: TrainingState): void {
  const names = phases.map(({ name }) => name);
  const unknown = [...finished, ...(position ? [position.phase] : [])].find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new LlavaError(
    "invalid_checkpoint",
    `The saved state has the phase ${unknown}, but the phases of the recipe are ${names.join(", ")}; start with --fresh.`,
  );
}

async function trainPhase(phase: Phase, state: TrainingState, options: TrainerOptions): Promise<void> {
  const { step: compiled, dataInputs } = await compilePhase(phase, state, options);
  using step = compiled;
  using first = new BatchBuffer(dataInputs);
  using second = new BatchBuffer(dataInputs);
  await runSteps(phase, state, step, [first, second], options);
  if (options.signal?.aborted) return;
  options.log?.(`${phase.title}: ${(await phase.probe?.(state)) ?? "done"}`);
}

/** While one batch runs on the runtime's threads, the next one is made here. */
async function runSteps(
  phase: Phase,
  state: TrainingState,
  step: TrainingStep,
  buffers: readonly [BatchBuffer, BatchBuffer],
  options: TrainerOptions,
): Promise<void> {
  const progress = new Progress(options.progress);
  let [current, next] = buffers;
  const first = state.position?.step ?? 0;
  if (first < phase.steps) await phase.batches.fill(first, current.arrays);
  for (let index = first; index < phase.steps; index++) {
    const learningRate = learningRateAt(index, phase.schedule);
    const { loss, gradientNorm } = await meanwhile(
      step.run(current.feeds, learningRate, index + 1),
      async () => {
        if (index + 1 < phase.steps) await phase.batches.fill(index + 1, next.arrays);
      },
    );
    requireFinite(loss, gradientNorm, `step ${index} of ${phase.name}`);
    [current, next] = [next, current];
    const done = index + 1;
    state.position = { phase: phase.name, step: done };
    options.onStep?.({ phase: phase.name, step: done, loss, gradientNorm, learningRate });
    progress.update({
      title: phase.title,
      step: done,
      steps: phase.steps,
      samplesPerStep: phase.batches.samplesPerStep,
      flopsPerStep: step.flops,
      loss,
      learningRate,
    });
    if (options.signal?.aborted || done % options.saveEvery === 0) await state.save(options.folder);
    if (options.signal?.aborted) return;
    if (phase.probe && done % options.probeEvery === 0 && done < phase.steps)
      options.log?.(`  ${phase.title}, step ${done}: ${await phase.probe(state)}`);
  }
}

/** The result of `running`, once `work` was done beside it; also when one of them fails, the other has ended. */
async function meanwhile<T>(running: Promise<T>, work: () => Promise<void>): Promise<T> {
  const [ran, worked] = await Promise.allSettled([running, work()]);
  if (ran.status === "rejected") throw ran.reason;
  if (worked.status === "rejected") throw worked.reason;
  return ran.value;
}

/** With such a gradient the parameters are lost already: the state that is saved must be one from before. */
function requireFinite(loss: number, gradientNorm: number, where: string): void {
  if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) return;
  throw new Error(
    `The loss is ${loss} and the gradient's norm ${gradientNorm} at ${where}. The last saved state is whole: start again from it, with a lower learning rate if this comes back.`,
  );
}
