/** The layout of a file of quantized weights: known before a weight is read, from the checkpoint's headers alone. */
import { createHash } from "node:crypto";
import path from "node:path";
import { LlavaError } from "@llava/protocol";
import type { Checkpoint } from "../source/checkpoint.ts";
import { quoted } from "../tensors/damaged.ts";
import { type BlockFormat, blocksPerRow, bytesPerBlock } from "./quantization.ts";
import { encodeHeader } from "../safetensors/safetensors-writer.ts";
import { BYTES_PER_ELEMENT, isReadable, type TensorEntry } from "../tensors/tensor-entry.ts";
import type { Checksums, FileRange, WeightJob } from "./weight-job.ts";

/** The tensors of a checkpoint that go into the file. One may do so in both forms. */
export interface QuantizationPlan {
  /** Tensors that stay as they are: embeddings, norms. */
  readonly stored: readonly string[];
  /** Matrices [out, in] that become blocks. */
  readonly blocks: ReadonlyMap<string, BlockFormat>;
}

/** A matrix [out, in] as blocks along `in`; see quantization.ts for the numbers. */
export interface QuantizedLinear extends BlockFormat {
  /** U8 [out, blocks, blockSize·bits/8] */
  readonly data: TensorEntry;
  /** F32 [out·blocks] */
  readonly scales: TensorEntry;
}

export interface QuantizedLayout {
  /** Hash of the checkpoint's identity and the plan, hex: the same key, the same bytes. */
  readonly key: string;
  /** The file's place, absolute. */
  readonly file: string;
  /** The tensors in the order of the data, with offsets from the start of the file. */
  readonly tensors: readonly TensorEntry[];
  /** Size of the whole file in bytes. */
  readonly size: number;
}

/** Another number when the same plan shall give other bytes. */
const FORMAT = "1";

/** Throws `invalid_checkpoint` for a missing tensor, `unsupported_model` for one of another type. */
export function quantizedLayout(
  checkpoint: Checkpoint,
  plan: QuantizationPlan,
  folder: string,
): QuantizedLayout {
  const key = keyOf(checkpoint, plan);
  const file = path.join(folder, `${key}.safetensors`);
  const shapes = [
    ...plan.stored.map((name) => ({ ...pick(checkpoint.get(name)), name })),
    ...[...plan.blocks].flatMap(([name, format]) => blockTensors(checkpoint, name, format)),
  ];
  // Wide elements first: with the header a multiple of 8, every tensor is aligned to its own element.
  const ordered = shapes.toSorted((a, b) => BYTES_PER_ELEMENT[b.dtype] - BYTES_PER_ELEMENT[a.dtype]);
  let offset = encodeHeader(
    ordered,
    metadata(
      key,
      ordered.map(() => 0),
    ),
  ).length;
  const tensors = ordered.map((tensor) => {
    const entry = { ...tensor, file, offset, length: byteLength(tensor) };
    offset += entry.length;
    return entry;
  });
  return { key, file, tensors, size: offset };
}

/** The header's bytes, with one checksum for each of `layout.tensors`. */
export function quantizedHeader({ key, tensors }: QuantizedLayout, checksums: Checksums): Uint8Array {
  return encodeHeader(tensors, metadata(key, checksums));
}

/** The checksums that a header's text claims, or null; the rest of the header is checked by writing it anew. */
export function checksumsIn(header: string, { tensors }: QuantizedLayout): Checksums | null {
  const digits = /"checksums":"([0-9a-f]*)"/.exec(header)?.[1];
  if (digits?.length !== tensors.length * 8) return null;
  return tensors.map((_, i) => Number.parseInt(digits.slice(8 * i, 8 * i + 8), 16));
}

/** What fills `target`, and for each job the places of its checksums among `layout.tensors`. */
export function quantizationJobs(
  checkpoint: Checkpoint,
  plan: QuantizationPlan,
  layout: QuantizedLayout,
  target: string,
): { readonly job: WeightJob; readonly places: readonly number[] }[] {
  const places = new Map(layout.tensors.map(({ name }, index) => [name, index]));
  const placeOf = (name: string): { place: number; range: FileRange } => {
    const place = places.get(name) ?? -1;
    const tensor = layout.tensors[place];
    if (tensor === undefined) throw new Error(`The layout has no tensor ${name}.`);
    return { place, range: { path: target, offset: tensor.offset, length: tensor.length } };
  };
  const copies = plan.stored.map((name) => {
    const { place, range } = placeOf(name);
    return {
      job: { kind: "copy", source: sourceOf(checkpoint, name), target: range } as const,
      places: [place],
    };
  });
  const quantized = [...plan.blocks].map(([name, format]) => {
    const blocks = placeOf(blocksName(name));
    const scales = placeOf(scalesName(name));
    const { dtype, columns } = matrix(checkpoint, name);
    const source = { ...sourceOf(checkpoint, name), dtype };
    const job = {
      kind: "quantize",
      source,
      columns,
      format,
      blocks: blocks.range,
      scales: scales.range,
    } as const;
    return { job, places: [blocks.place, scales.place] };
  });
  return [...copies, ...quantized];
}

export function blocksName(name: string): string {
  return `${name}.blocks`;
}

export function scalesName(name: string): string {
  return `${name}.scales`;
}

function sourceOf(checkpoint: Checkpoint, name: string): FileRange & { version: string } {
  const entry = checkpoint.get(name);
  const { file, offset, length } = entry;
  return { path: file, offset, length, version: checkpoint.fileOf(entry).version };
}

/**
 * The files of all sources, the place of each tensor in them, and the plan. Not the folders' paths: a copy that kept its
 * times, which few tools do to more than the millisecond, is the same model.
 */
function keyOf(checkpoint: Checkpoint, { stored, blocks }: QuantizationPlan): string {
  const files = checkpoint.files();
  const states = files.map(({ name, size, modifiedMs, headerHash }) => [
    name,
    size,
    Math.floor(modifiedMs),
    headerHash,
  ]);
  const placeOf = (name: string): number[] => {
    const entry = checkpoint.get(name);
    return [files.indexOf(checkpoint.fileOf(entry)), entry.offset];
  };
  const identity = JSON.stringify([
    FORMAT,
    states,
    stored.map((name) => [name, ...placeOf(name)]),
    [...blocks].map(([name, format]) => [name, ...placeOf(name), format]),
  ]);
  return createHash("sha256").update(identity).digest("hex").slice(0, 40);
}

function metadata(key: string, checksums: Checksums): Record<string, string> {
  const digits = checksums.map((sum) => sum.toString(16).padStart(8, "0")).join("");
  return { format: "pt", quantized: key, checksums: digits };
}

type TensorShape = Pick<TensorEntry, "name" | "dtype" | "shape">;

function blockTensors(checkpoint: Checkpoint, name: string, format: BlockFormat): TensorShape[] {
  const { rows, columns } = matrix(checkpoint, name);
  const perRow = blocksPerRow(columns, format);
  return [
    { name: blocksName(name), dtype: "U8", shape: [rows, perRow, bytesPerBlock(format)] },
    { name: scalesName(name), dtype: "F32", shape: [rows * perRow] },
  ];
}

function matrix(checkpoint: Checkpoint, name: string) {
  const { dtype, shape, file } = checkpoint.get(name);
  const [rows, columns] = shape;
  if (isReadable(dtype) && shape.length === 2 && rows && columns) return { dtype, rows, columns };
  throw new LlavaError(
    "unsupported_model",
    `Tensor ${quoted(name)} in ${file} is ${dtype} of shape [${shape.join(", ")}]; a matrix in F32, F16 or BF16 can be quantized. Take the float16 or bfloat16 version of the model.`,
  );
}

function pick({ dtype, shape }: TensorEntry): Omit<TensorShape, "name"> {
  return { dtype, shape };
}

function byteLength({ dtype, shape }: TensorShape): number {
  return shape.reduce((product, axis) => product * axis, BYTES_PER_ELEMENT[dtype]);
}
