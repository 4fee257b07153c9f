/** The header of a safetensors file is parsed and checked whole, before any byte of data is read. */
import { z } from "zod";
import { damaged, quoted } from "../tensors/damaged.ts";
import { isJsonObject, parseFileJson } from "./safetensors-json.ts";
import { BYTES_PER_ELEMENT, MAX_AXES, MAX_TENSORS, type StoredDType } from "../tensors/tensor-entry.ts";

/** A tensor as the file has it: the name is the stored one, the offset counts from the start of the file. */
export interface HeaderTensor {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

/** The bytes of the file that hold data; the end is the file's size. */
export interface DataRange {
  readonly start: number;
  readonly end: number;
}

const METADATA = "__metadata__";

/**
 * The tensors in the order of their data. `path` is for sentences only. Throws `invalid_checkpoint` unless the tensors
 * fill `data` without a gap or an overlap, and each is as long as its shape and dtype ask.
 */
export function parseHeader(path: string, text: string, data: DataRange): HeaderTensor[] {
  const values = namedValues(path, text);
  // One more for the metadata.
  if (values.length > MAX_TENSORS + 1)
    throw damaged(path, `its header lists more than ${MAX_TENSORS} tensors`);
  const tensors: HeaderTensor[] = [];
  for (const [name, value] of values) {
    if (name === METADATA) requireMetadata(path, value);
    else tensors.push(parseTensor(path, name, value, data));
  }
  // An empty tensor shares its offset with the next one and comes before it.
  tensors.sort((a, b) => a.offset - b.offset || a.length - b.length);
  requireContiguous(path, tensors, data);
  return tensors;
}

function namedValues(path: string, text: string): [string, unknown][] {
  // The format forbids anything before the brace; trailing spaces align the data.
  if (!text.startsWith("{")) throw damaged(path, "its header does not begin with {");
  const header = parseFileJson(path, "its header", text);
  return isJsonObject(header) ? Object.entries(header) : [];
}

function requireMetadata(path: string, value: unknown): void {
  if (metadataSchema.safeParse(value).success) return;
  throw damaged(path, `its ${METADATA} is not an object of strings`);
}

const metadataSchema = z.record(z.string(), z.string());

const dtypeNames = new Set<string>(Object.keys(BYTES_PER_ELEMENT));

const tensorSchema = z.strictObject({
  dtype: z.custom<StoredDType>((value) => typeof value === "string" && dtypeNames.has(value), {
    error: `is not one of ${[...dtypeNames].join(", ")}`,
  }),
  shape: z.array(z.int().nonnegative()).max(MAX_AXES),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});

function parseTensor(path: string, name: string, value: unknown, data: DataRange): HeaderTensor {
  const result = tensorSchema.safeParse(value, { reportInput: true });
  if (!result.success) throw damaged(path, describeIssue(name, result.error), result.error);
  const { dtype, shape, data_offsets: offsets } = result.data;
  const [begin, end] = offsets;
  const size = data.end - data.start;
  if (begin > end || end > size) {
    throw damaged(
      path,
      `tensor ${quoted(name)} claims bytes ${begin} to ${end} of the data, which has ${size}`,
    );
  }
  const bytes = shape.reduce((product, axis) => product * BigInt(axis), BigInt(BYTES_PER_ELEMENT[dtype]));
  if (bytes !== BigInt(end - begin)) {
    throw damaged(
      path,
      `tensor ${quoted(name)} of shape [${shape.join(", ")}] in ${dtype} takes ${bytes} bytes, but its offsets give it ${end - begin}`,
    );
  }
  return { name, dtype, shape, offset: data.start + begin, length: end - begin };
}

function describeIssue(name: string, error: z.ZodError): string {
  const issue = error.issues[0];
  const key = issue?.path.join(".") ?? "";
  const input = issue?.input === undefined ? "missing" : (JSON.stringify(issue.input) ?? "missing");
  const what = issue?.message ?? "invalid";
  return `tensor ${quoted(name)} has ${key === "" ? "a description" : key} ${input.slice(0, 80)} that cannot be right (${what})`;
}

function requireContiguous(path: string, tensors: readonly HeaderTensor[], data: DataRange): void {
  let end = data.start;
  for (const { name, offset, length } of tensors) {
    if (offset < end) {
      throw damaged(path, `tensor ${quoted(name)} overlaps the one before it by ${end - offset} bytes`);
    }
    if (offset > end) {
      throw damaged(path, `no tensor owns the ${offset - end} bytes before tensor ${quoted(name)}`);
    }
    end = offset + length;
  }
  if (end !== data.end) throw damaged(path, `no tensor owns its last ${data.end - end} bytes`);
}
