/** A training state is everything that a run is at one moment; it is saved and loaded whole, so resuming equals not stopping. */
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { Checkpoint, writeSafetensors } from "@llava/checkpoint";
import { elementCount, sameShape } from "@llava/onnx";
import { LlavaError } from "@llava/protocol";
import { type Device, DeviceMemory, deviceName, type Value } from "@llava/runtime";
import {
  NEW_STATE_FILE,
  type Position,
  readStateFile,
  STATE_FILE,
  WEIGHT_FOLDERS,
  writeStateFile,
} from "./state-file.ts";

export type { Position } from "./state-file.ts";

/** A weight or a moment, which the steps of a run update in place. */
export type Parameter = Value<"float32">;

/** Weights that a run starts from, by name. A `Checkpoint` is one. */
export interface ParameterSource {
  has(name: string): boolean;
  get(name: string): { readonly shape: readonly number[] };
  /** The values of a parameter. Nothing is written into the array, which may be shared. */
  read(name: string): Promise<Float32Array>;
}

export interface ParameterOptions {
  /** Whether the parameter is going to be trained: one of the source is then copied, else its own array is used. */
  readonly isTrained: boolean;
  /** Makes the values of a parameter that neither the run nor its source has. */
  readonly initialize: () => Float32Array;
}

export class TrainingState implements Disposable {
  /** Weights that the run has made or trained, by name. */
  readonly parameters = new Map<string, Parameter>();
  /** AdamW's moments of the current phase, under the names that the graph gives them. */
  readonly moments = new Map<string, Parameter>();
  readonly finished = new Set<string>();
  position: Position | undefined;
  /** Weights of the source that no phase has trained so far: they are not saved, the source has them. */
  readonly #frozen = new Map<string, Parameter>();
  readonly #source: ParameterSource | undefined;
  #memory = DeviceMemory.host;

  /** @param source weights to start from; a run that is resumed needs the same one again */
  constructor(source?: ParameterSource) {
    this.#source = source;
  }

  /** The saved state, on the host. Rejects with `invalid_checkpoint` when there is no whole state in the folder. */
  static async load(folder: string, source?: ParameterSource): Promise<TrainingState> {
    const state = new TrainingState(source);
    const saved = await readStateFile(folder);
    if (!saved) {
      throw new LlavaError(
        "invalid_checkpoint",
        `${path.join(folder, STATE_FILE)} is missing or is not a training state; start with --fresh.`,
      );
    }
    for (const phase of saved.finished) state.finished.add(phase);
    state.position = saved.position ?? undefined;
    const checkpoint = await Checkpoint.open(path.join(folder, saved.weights));
    for (const name of checkpoint.names()) {
      const value = await state.#place(await checkpoint.read(name), checkpoint.get(name).shape);
      const isMoment = name.startsWith("mean:") || name.startsWith("variance:");
      (isMoment ? state.moments : state.parameters).set(name, value);
    }
    return state;
  }

  /**
   * Writes the weights first, beside those of the last save, then the small file that names them: whenever this is
   * interrupted, the folder holds the old state whole or the new one.
   */
  async save(folder: string): Promise<void> {
    const old = await readStateFile(folder);
    const weights = old?.weights === WEIGHT_FOLDERS[0] ? WEIGHT_FOLDERS[1] : WEIGHT_FOLDERS[0];
    const target = path.join(folder, weights);
    // No file names this folder: it holds the state before the last, or what an interrupted save left.
    await rm(target, { recursive: true, force: true });
    await mkdir(target, { recursive: true });
    const tensors = await Promise.all(
      [...this.parameters, ...this.moments].map(async ([name, value]) => ({
        name,
        dtype: "F32" as const,
        shape: value.shape,
        data: await hostArray(value),
      })),
    );
    await writeSafetensors(path.join(target, "model.safetensors"), tensors);
    await writeStateFile(folder, {
      weights,
      position: this.position ?? null,
      finished: [...this.finished],
    });
  }

  /** Deletes what `save` wrote into the folder, and nothing else. */
  static async remove(folder: string): Promise<void> {
    // The small file goes first: without it the weights are those of no run.
    for (const name of [STATE_FILE, NEW_STATE_FILE, ...WEIGHT_FOLDERS])
      await rm(path.join(folder, name), { recursive: true, force: true });
  }

  get device(): Device {
    return this.#memory.device;
  }

  /** Moves every value to the device, where steps update it in place. When that fails, the state stays as it is. */
  async moveTo(device: Device): Promise<void> {
    if (deviceName(device) === deviceName(this.device)) return;
    const memory = await DeviceMemory.open(device);
    using made = new DisposableStack();
    made.use(memory);
    const maps = [this.parameters, this.moments, this.#frozen];
    const moves: { map: Map<string, Parameter>; name: string; old: Parameter; value: Parameter }[] = [];
    for (const map of maps) {
      for (const [name, old] of map) {
        const value = made.use(await memory.place("float32", await hostArray(old), old.shape));
        moves.push({ map, name, old, value });
      }
    }
    made.move();
    for (const { map, name, old, value } of moves) {
      map.set(name, value);
      old[Symbol.dispose]();
    }
    this.#memory[Symbol.dispose]();
    this.#memory = memory;
  }

  /** Begins `phase` unless the run is already in it. The optimizer starts anew with every phase. */
  enter(phase: string): void {
    if (this.position?.phase === phase) return;
    this.position = { phase, step: 0 };
    for (const moment of this.moments.values()) moment[Symbol.dispose]();
    this.moments.clear();
  }

  /** The named parameter: the run's own, else that of the source, else one that `initialize` makes. */
  async parameter(
    name: string,
    shape: readonly number[],
    { isTrained, initialize }: ParameterOptions,
  ): Promise<Parameter> {
    const own = this.parameters.get(name);
    if (own) return requireShape(name, own, shape, SAVED);
    if (!this.#source?.has(name)) return await this.#add(this.parameters, name, initialize(), shape);
    requireShape(name, this.#source.get(name), shape, SOURCE);
    const frozen = this.#frozen.get(name);
    if (!isTrained) {
      return frozen ?? (await this.#add(this.#frozen, name, await this.#source.read(name), shape));
    }
    this.#frozen.delete(name);
    frozen?.[Symbol.dispose]();
    return await this.#add(this.parameters, name, (await this.#source.read(name)).slice(), shape);
  }

  /** The named moment, zero when the phase has just begun. */
  async moment(name: string, shape: readonly number[]): Promise<Parameter> {
    const known = this.moments.get(name);
    if (known) return requireShape(name, known, shape, SAVED);
    return await this.#add(this.moments, name, new Float32Array(elementCount(shape)), shape);
  }

  /** The named parameter, which `parameter` has made available before. */
  value(name: string): Parameter {
    const value = this.parameters.get(name) ?? this.#frozen.get(name);
    if (value) return value;
    throw new Error(`${name} is not in the training state.`);
  }

  [Symbol.dispose](): void {
    for (const map of [this.parameters, this.moments, this.#frozen]) {
      for (const value of map.values()) value[Symbol.dispose]();
      map.clear();
    }
    this.#memory[Symbol.dispose]();
  }

  async #add(
    map: Map<string, Parameter>,
    name: string,
    data: Float32Array,
    shape: readonly number[],
  ): Promise<Parameter> {
    const value = await this.#place(data, shape);
    map.set(name, value);
    return value;
  }

  async #place(data: Float32Array, shape: readonly number[]): Promise<Parameter> {
    return await this.#memory.place("float32", data, shape);
  }
}

/** The elements of a parameter: its own array where it lies on the host, a copy where it lies on a device. */
export async function hostArray(value: Parameter): Promise<Float32Array> {
  return value.device.type === "cpu" ? value.data() : await value.read();
}

/** Where a parameter was found, and what to do when it has another shape than the recipe's. */
const SAVED = { place: "saved state", advice: "start with --fresh" };
const SOURCE = { place: "checkpoint", advice: "start from a checkpoint of the same model" };

function requireShape<T extends { readonly shape: readonly number[] }>(
  name: string,
  found: T,
  shape: readonly number[],
  { place, advice }: typeof SAVED,
): T {
  if (sameShape(found.shape, shape)) return found;
  throw new LlavaError(
    "invalid_checkpoint",
    `${name} is [${found.shape.join()}] in the ${place}, but the recipe wants [${shape.join()}]; ${advice}.`,
  );
}
