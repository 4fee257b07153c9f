/** Everything that a training run is at one moment; written and read whole, so that resuming equals not stopping. */
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { Checkpoint, writeSafetensors } from "@llava/checkpoint";
import { elementCount, sameShape } from "@llava/onnx";
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

  /** Throws `invalid_checkpoint` when there is no whole state in the folder. */
  static async load(folder: string): Promise<TrainingState> {
    const state = new TrainingState();
    const meta = await readMeta(folder);
    if (!meta) {
      throw new LlavaError(
        "invalid_checkpoint",
        `${path.join(folder, META_FILE)} is missing or is not a training state; start with --fresh.`,
      );
    }
    for (const phase of meta.finished) state.finished.add(phase);
    state.position = meta.position ?? undefined;
    const checkpoint = await Checkpoint.open(path.join(folder, meta.weights));
    for (const name of checkpoint.names()) {
      const parameter = { shape: checkpoint.get(name).shape, data: await checkpoint.read(name) };
      const isMoment = name.startsWith("mean:") || name.startsWith("variance:");
      (isMoment ? state.moments : state.parameters).set(name, parameter);
    }
    return state;
  }

  /**
   * Writes the weights first, beside those of the last save, then the small file that names them: whenever this is
   * interrupted, the folder holds the old state whole or the new one.
   */
  async save(folder: string): Promise<void> {
    const old = await readMeta(folder);
    const weights = old?.weights === WEIGHTS[0] ? WEIGHTS[1] : WEIGHTS[0];
    const target = path.join(folder, weights);
    // Nothing names it: the state before the last, or what an interrupted save left.
    await rm(target, { recursive: true, force: true });
    await mkdir(target, { recursive: true });
    const tensors = [...this.parameters, ...this.moments].map(([name, { shape, data }]) => ({
      name,
      dtype: "F32" as const,
      shape,
      data,
    }));
    await writeSafetensors(path.join(target, "model.safetensors"), tensors);
    await writeMeta(folder, { weights, position: this.position ?? null, finished: [...this.finished] });
  }

  /** Deletes what `save` wrote into the folder, and nothing else. */
  static async remove(folder: string): Promise<void> {
    // The small file first: without it the weights belong to nobody.
    for (const name of [META_FILE, NEW_META_FILE, ...WEIGHTS])
      await rm(path.join(folder, name), { recursive: true, force: true });
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
    return ensure(this.moments, name, shape, () => new Float32Array(elementCount(shape)));
  }
}

function ensure(
  map: Map<string, Parameter>,
  name: string,
  shape: readonly number[],
  make: () => Float32Array,
): Parameter {
  const known = map.get(name);
  if (known) {
    if (sameShape(known.shape, shape)) return known;
    throw new LlavaError(
      "invalid_checkpoint",
      `${name} is [${known.shape.join()}] in the saved state, but the recipe wants [${shape.join()}]; start with --fresh.`,
    );
  }
  const made = { shape: [...shape], data: make() };
  map.set(name, made);
  return made;
}

const META_FILE = "state.json";
const NEW_META_FILE = `${META_FILE}.new`;
/** Folders that take turns: one holds the last save, the other is free for the next. */
const WEIGHTS = ["weights-a", "weights-b"] as const;

interface Meta {
  readonly weights: (typeof WEIGHTS)[number];
  readonly position: Position | null;
  readonly finished: readonly string[];
}

/**
 * What the folder's small file says, or undefined when there is none or it says nothing that we wrote. One that is there
 * and cannot be read is an error: a save that went on would delete the weights that it names.
 */
async function readMeta(folder: string): Promise<Meta | undefined> {
  let text: string;
  try {
    text = await readFile(path.join(folder, META_FILE), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return parseMeta(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** On the disk before it gets its name: a power cut must not leave an empty file. */
async function writeMeta(folder: string, meta: Meta): Promise<void> {
  const temporary = path.join(folder, NEW_META_FILE);
  {
    await using file = await open(temporary, "w");
    await file.writeFile(JSON.stringify(meta));
    await file.sync();
  }
  await rename(temporary, path.join(folder, META_FILE));
}

function parseMeta(value: unknown): Meta | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (!("weights" in value && "position" in value && "finished" in value)) return undefined;
  const { position, finished } = value;
  const weights = WEIGHTS.find((name) => name === value.weights);
  const isWhole =
    weights !== undefined &&
    (position === null || isPosition(position)) &&
    Array.isArray(finished) &&
    finished.every((phase) => typeof phase === "string");
  return isWhole ? { weights, position, finished } : undefined;
}

function isPosition(value: unknown): value is Position {
  if (typeof value !== "object" || value === null || !("phase" in value && "step" in value)) return false;
  const { phase, step } = value;
  return typeof phase === "string" && typeof step === "number" && Number.isSafeInteger(step) && step >= 0;
}
