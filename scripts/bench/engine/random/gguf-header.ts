/**
 * Writes the head of a GGUF file (version 3): settings, and where each tensor lies. The format is llama.cpp's;
 * `@huggingface/gguf` reads it and can rewrite its settings, but does not write the list of tensors of a new file.
 */

/** ggml's numbers of types, and what a block of each takes. */
export const GGML_TYPES = {
  F32: { id: 0, values: 1, bytes: 4 },
  Q4_0: { id: 2, values: 32, bytes: 18 },
  Q6_K: { id: 14, values: 256, bytes: 210 },
} as const;

export type GgmlType = keyof typeof GGML_TYPES;

export interface GgufTensor {
  readonly name: string;
  /** Rows first, as everywhere here; the file has them the other way round. */
  readonly shape: readonly number[];
  readonly type: GgmlType;
}

/** Whole numbers are written as uint32, `float` ones as float32; an array is of one kind. */
export type GgufValue =
  | number
  | string
  | { readonly float: number }
  | { readonly strings: readonly string[] }
  | { readonly floats: readonly number[] }
  | { readonly int32s: readonly number[] };

const ALIGNMENT = 32;
const VERSION = 3;
/** gguf_metadata_value_type. */
const KIND = { uint32: 4, int32: 5, float32: 6, string: 8, array: 9 } as const;

export function tensorBytes({ shape, type }: GgufTensor): number {
  const { values, bytes } = GGML_TYPES[type];
  return (shape.reduce((product, axis) => product * axis, 1) / values) * bytes;
}

/** Zeros that follow a tensor, so that the next begins aligned. */
export function padding(bytes: number): number {
  return (ALIGNMENT - (bytes % ALIGNMENT)) % ALIGNMENT;
}

/** All that stands before the data of the first tensor. */
export function encodeGgufHeader(
  settings: Readonly<Record<string, GgufValue>>,
  tensors: readonly GgufTensor[],
): Buffer {
  const entries = Object.entries(settings);
  const parts = [Buffer.from("GGUF"), uint32(VERSION), uint64(tensors.length), uint64(entries.length)];
  for (const [key, value] of entries) parts.push(text(key), encodeValue(value));
  let offset = 0;
  for (const tensor of tensors) {
    const { name, shape, type } = tensor;
    parts.push(text(name), uint32(shape.length), ...shape.toReversed().map(uint64));
    parts.push(uint32(GGML_TYPES[type].id), uint64(offset));
    const bytes = tensorBytes(tensor);
    offset += bytes + padding(bytes);
  }
  const header = Buffer.concat(parts);
  return Buffer.concat([header, Buffer.alloc(padding(header.length))]);
}

function encodeValue(value: GgufValue): Buffer {
  if (typeof value === "number") return Buffer.concat([uint32(KIND.uint32), uint32(value)]);
  if (typeof value === "string") return Buffer.concat([uint32(KIND.string), text(value)]);
  if ("float" in value) return Buffer.concat([uint32(KIND.float32), float32(value.float)]);
  if ("strings" in value) return list(KIND.string, value.strings.map(text));
  if ("floats" in value) return list(KIND.float32, value.floats.map(float32));
  return list(KIND.int32, value.int32s.map(uint32));
}

function list(kind: number, items: readonly Buffer[]): Buffer {
  return Buffer.concat([uint32(KIND.array), uint32(kind), uint64(items.length), ...items]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}
