/** Everything that a training run is at one moment; written and read whole, so that resuming equals not stopping. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { Checkpoint, writeSafetensors } from "@llava/checkpoint";
import { LlavaError } from "@llava/protocol";

export interface Parameter {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Where the run is: `step` steps of phase `phase` are done. Batches are functions of (seed, phase, step) alone. */
export interface Position {
  readonly phase: string;
  readonly step: number;
}

export class TrainingState {
  readonly parameters = new Map<string, Parameter>();
  /** AdamW's moments of the current phase, under the names that the graph gives them. */
  readonly moments = new Map<string, Parameter>();
  readonly finished = new Set<string>();
  position: Position | undefined;
  /** The folder that holds the last saved weights; the next save takes the other one. */
  #weights: string | undefined;

  static async load(folder: string): Promise<TrainingState> {
    const state = new TrainingState();
    const meta: unknown = JSON.parse(await readFile(path.join(folder, "state.json"), "utf8"));
    if (!isMeta(meta)) throw new LlavaError("invalid_checkpoint", `${folder}/state.json is not a training state; start with --fresh.`);
    for (const phase of meta.finished) state.finished.add(phase);
    state.position = meta.position;
    state.#weights = meta.weights;
    const checkpoint = await Checkpoint.open(path.join(folder, meta.weights));
    for (const name of checkpoint.names()) {
      const parameter = { shape: checkpoint.get(name).shape, data: await checkpoint.read(name) };
      (name.startsWith("mean:") || name.startsWith("variance:") ? state.moments : state.parameters).set(name, parameter);
    }
    return state;
  }

  /** Writes the weights first, then the small file that names them: a crash in between leaves the old state whole. */
  async save(folder: string): Promise<void> {
    const weights = this.#weights === "weights-a" ? "weights-b" : "weights-a";
    await mkdir(path.join(folder, weights), { recursive: true });
    const tensors = [...this.parameters, ...this.moments].map(([name, { shape, data }]) => ({ name, dtype: "F32" as const, shape, data }));
    await writeSafetensors(path.join(folder, weights, "model.safetensors"), tensors);
    const meta = JSON.stringify({ weights, position: this.position ?? null, finished: [...this.finished] });
    await writeFile(path.join(folder, "state.json.new"), meta);
    await rename(path.join(folder, "state.json.new"), path.join(folder, "state.json"));
    this.#weights = weights;
  }

  /** Begins `phase` unless the run is already in it. The optimizer starts anew with every phase. */
  enter(phase: string): void {
    if (this.position?.phase === phase) return;
    this.position = { phase, step: 0 };
    this.moments.clear();
  }

  /** The named parameter, made by `initialize` when the run has not met it yet. */
  parameter(name: string, shape: readonly number[], initialize: () => Float32Array): Parameter {
    return ensure(this.parameters, name, shape, initialize);
  }

  moment(name: string, shape: readonly number[]): Parameter {
    return ensure(this.moments, name, shape, () => new Float32Array(shape.reduce((a, b) => a * b, 1)));
  }
}

function ensure(map: Map<string, Parameter>, name: string, shape: readonly number[], make: () => Float32Array): Parameter {
  const known = map.get(name);
  if (known) {
    if (known.shape.join() === shape.join()) return known;
    throw new LlavaError("invalid_checkpoint", `${name} is [${known.shape.join()}] in the saved state, but the recipe wants [${shape.join()}]; start with --fresh.`);
  }
  const made = { shape: [...shape], data: make() };
  map.set(name, made);
  return made;
}

interface Meta {
  readonly weights: string;
  readonly position: Position;
  readonly finished: readonly string[];
}

function isMeta(value: unknown): value is Meta {
  if (typeof value !== "object" || value === null) return false;
  return "weights" in value && typeof value.weights === "string" && "finished" in value && Array.isArray(value.finished);
}
