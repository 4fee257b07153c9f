/** Defines a phase of training, and compiles it into a step over the weights of a run. */
import { type ComputeType, type Graph, staticShape, type Tensor } from "@llava/onnx";
import type { Batches } from "../data/dataset.ts";
import type { AdamWOptions } from "../optimizer/adamw.ts";
import type { Schedule } from "../optimizer/schedule.ts";
import type { TrainingState } from "../state/training-state.ts";
import { TrainingStep } from "./training-step.ts";

/** The forward pass of a phase: inputs are its parameters and its data, the result is a loss. */
export interface Objective {
  readonly graph: Graph;
  /** A float32 scalar. */
  readonly loss: Tensor;
  /** The float32 inputs that are weights, by their names in the checkpoint. */
  readonly parameters: ReadonlyMap<string, Tensor>;
}

export interface ObjectiveOptions {
  /** Element type of activations and of the matrix products; weights, moments and the loss are float32 in any case. */
  readonly computeType: ComputeType;
}

export interface Phase {
  /** Name in the saved state and in the records of steps. */
  readonly name: string;
  /** Name in the progress line. */
  readonly title: string;
  readonly steps: number;
  readonly schedule: Schedule;
  readonly optimizer: AdamWOptions;
  readonly batches: Batches;
  build(options: ObjectiveOptions): Objective;
  /** Whether the phase trains a parameter; the others are frozen. */
  trains(parameter: string): boolean;
  /** Makes the values of a parameter that neither the run nor its checkpoint has. */
  initialize(parameter: string, shape: readonly number[]): Float32Array;
  /** A line about the quality of the weights as they are, requested now and then. */
  probe?(state: TrainingState): Promise<string>;
}

export interface CompileOptions {
  readonly computeType?: ComputeType | undefined;
  /** Threads of the runtime; as many as physical cores when left out. */
  readonly threads?: number | undefined;
}

export interface CompiledPhase {
  readonly step: TrainingStep;
  /** The inputs of the phase's graph that are data: a batch has an array for each. */
  readonly dataInputs: readonly Tensor[];
}

/** Power of two that keeps float16 gradients above their smallest value and, clipped to a norm near 1, below the largest. */
const FLOAT16_LOSS_SCALE = 1024;

/** Compiles the phase's step on the state's device; parameters that the state lacks are made. */
export async function compilePhase(
  phase: Phase,
  state: TrainingState,
  { computeType = "float32", threads }: CompileOptions = {},
): Promise<CompiledPhase> {
  const objective = phase.build({ computeType });
  const { graph, parameters } = objective;
  const dataInputs = graph.inputs.filter((input) => !parameters.has(input.name));
  const trained = [...parameters.values()].filter(({ name }) => phase.trains(name));
  if (trained.length === 0) throw new Error(`The phase ${phase.name} trains none of its parameters.`);
  for (const [name, tensor] of parameters) {
    const shape = staticShape(tensor);
    const isTrained = trained.includes(tensor);
    await state.parameter(name, shape, { isTrained, initialize: () => phase.initialize(name, shape) });
  }
  const lossScale = computeType === "float16" ? FLOAT16_LOSS_SCALE : 1;
  const step = await TrainingStep.compile(objective, trained, state, {
    optimizer: { lossScale, ...phase.optimizer },
    threads,
  });
  return { step, dataInputs };
}
