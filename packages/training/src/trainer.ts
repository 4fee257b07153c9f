/** The training loop: phases one after another, each a compiled step over batches that are functions of the step number. */
import { type Graph, staticShape, type Tensor } from "@llava/onnx";
import type { AdamWOptions } from "./adamw.ts";
import { type Batch, BatchBuffer } from "./batch-buffer.ts";
import { Progress, type ProgressStream } from "./training-progress.ts";
import { learningRateAt, type Schedule } from "./schedule.ts";
import { TrainingStep } from "./training-step.ts";
import type { TrainingState } from "./training-state.ts";

export type { Batch, BatchArray } from "./batch-buffer.ts";

export interface Objective {
  readonly graph: Graph;
  /** A scalar. */
  readonly loss: Tensor;
  readonly parameters: ReadonlyMap<string, Tensor>;
}

export interface Phase {
  readonly name: string;
  readonly title: string;
  readonly steps: number;
  readonly samplesPerStep: number;
  readonly schedule: Schedule;
  readonly optimizer: AdamWOptions;
  build(): Objective;
  /** Which parameters the phase trains; the rest is frozen. */
  trains(parameter: string): boolean;
  /** Writes the batch of step `step` (counted from 0) into arrays that hold an older batch. */
  fill(step: number, batch: Batch): void;
  initialize(parameter: string, shape: readonly number[]): Float32Array;
  /** A line about quality, from the parameters as they are; asked for now and then. */
  probe?(state: TrainingState): Promise<string>;
}

export interface TrainerOptions {
  readonly folder: string;
  readonly threads?: number;
  /** Steps between two saves of the whole state. */
  readonly saveEvery: number;
  readonly probeEvery: number;
  readonly signal?: AbortSignal;
  readonly onStep?: (record: {
    phase: string;
    step: number;
    loss: number;
    gradientNorm: number;
    learningRate: number;
  }) => void;
  readonly log?: (line: string) => void;
  /** Where the progress is drawn; default standard error. */
  readonly progress?: ProgressStream;
}

/**
 * Trains until every phase is finished or the signal aborts; either way the state is saved after the last step. Rejects
 * when a phase fails; the folder then holds the last state that was saved.
 */
export async function train(
  phases: readonly Phase[],
  state: TrainingState,
  options: TrainerOptions,
): Promise<void> {
  for (const phase of phases) {
    if (state.finished.has(phase.name)) continue;
    if (options.signal?.aborted) return;
    state.enter(phase.name);
    await trainPhase(phase, state, options);
    if ((state.position?.step ?? 0) < phase.steps) return;
    state.finished.add(phase.name);
    await state.save(options.folder);
  }
}

async function trainPhase(phase: Phase, state: TrainingState, options: TrainerOptions): Promise<void> {
  const { step: compiled, dataInputs } = await compilePhase(phase, state, options.threads);
  using step = compiled;
  using first = new BatchBuffer(dataInputs);
  using second = new BatchBuffer(dataInputs);
  await runSteps(phase, state, step, [first, second], options);
  if (options.signal?.aborted) return;
  options.log?.(`${phase.title}: ${(await phase.probe?.(state)) ?? "done"}`);
}

export interface CompiledPhase {
  readonly step: TrainingStep;
  /** What a batch holds: the inputs of the phase's graph that are no parameters. */
  readonly dataInputs: readonly Tensor[];
}

/** The phase's step over the state's parameters, which are made where the run has not met them yet. */
export async function compilePhase(
  phase: Phase,
  state: TrainingState,
  threads: number | undefined,
): Promise<CompiledPhase> {
  const { graph, loss, parameters } = phase.build();
  const dataInputs = graph.inputs.filter((input) => !parameters.has(input.name));
  for (const [name, tensor] of parameters) {
    const shape = staticShape(tensor);
    state.parameter(name, shape, () => phase.initialize(name, shape));
  }
  const all = [...parameters.values()];
  const trained = all.filter((parameter) => phase.trains(parameter.name));
  if (trained.length === 0) throw new Error(`The phase ${phase.name} trains none of its parameters.`);
  const options = { ...phase.optimizer, ...(threads === undefined ? {} : { threads }) };
  return { step: await TrainingStep.compile(graph, loss, all, trained, state, options), dataInputs };
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
  if (first < phase.steps) phase.fill(first, current.arrays);
  for (let index = first; index < phase.steps; index++) {
    const learningRate = learningRateAt(index, phase.schedule);
    const { loss, gradientNorm } = await meanwhile(step.run(current.feeds, learningRate, index + 1), () => {
      if (index + 1 < phase.steps) phase.fill(index + 1, next.arrays);
    });
    requireFinite(loss, gradientNorm, `step ${index} of ${phase.name}`);
    [current, next] = [next, current];
    const done = index + 1;
    state.position = { phase: phase.name, step: done };
    options.onStep?.({ phase: phase.name, step: done, loss, gradientNorm, learningRate });
    progress.update({
      title: phase.title,
      step: done,
      steps: phase.steps,
      samplesPerStep: phase.samplesPerStep,
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

/** What `running` gives, after `work` was done beside it. Also when `work` fails nothing is left running. */
async function meanwhile<T>(running: Promise<T>, work: () => void): Promise<T> {
  let result: T;
  try {
    work();
  } finally {
    result = await running;
  }
  return result;
}

/** With such a gradient the parameters are lost already: what is saved must be from before. */
function requireFinite(loss: number, gradientNorm: number, where: string): void {
  if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) return;
  throw new Error(
    `The loss is ${loss} and the gradient's norm ${gradientNorm} at ${where}. The last saved state is whole: start again from it, with a lower learning rate if this comes back.`,
  );
}
