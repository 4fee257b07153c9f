/** Lists the element types of tensors with ONNX's numbers for them and the typed arrays that hold them. */
import { RuntimeError } from "./runtime-error.ts";

export type DType = "float32" | "float16" | "bfloat16" | "int64" | "int32" | "int8" | "uint8" | "bool";

/** The typed array of each element type; float16 and bfloat16 are raw bits, a bool is a byte of 0 or 1. */
export interface ArrayOf {
  readonly float32: Float32Array;
  readonly float16: Uint16Array;
  readonly bfloat16: Uint16Array;
  readonly int64: BigInt64Array;
  readonly int32: Int32Array;
  readonly int8: Int8Array;
  readonly uint8: Uint8Array;
  readonly bool: Uint8Array;
}

export type TypedArray = ArrayOf[DType];

interface ArrayConstructor<A> {
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): A;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): A;
}

/** `type` is the number in ONNX's TensorProto.DataType, which ONNXTensorElementDataType repeats. */
export const ELEMENTS: {
  readonly [D in DType]: { readonly type: number; readonly array: ArrayConstructor<ArrayOf[D]> };
} = {
  float32: { type: 1, array: Float32Array },
  float16: { type: 10, array: Uint16Array },
  bfloat16: { type: 16, array: Uint16Array },
  int64: { type: 7, array: BigInt64Array },
  int32: { type: 6, array: Int32Array },
  int8: { type: 3, array: Int8Array },
  uint8: { type: 2, array: Uint8Array },
  bool: { type: 9, array: Uint8Array },
};

const DTYPES = new Map(dtypes().map((dtype) => [ELEMENTS[dtype].type, dtype]));

/** The name of an ONNX element type number; throws `invalid_argument` for one that is not used here. */
export function dtypeOfElement(type: number): DType {
  const dtype = DTYPES.get(type);
  if (dtype === undefined) {
    throw new RuntimeError(
      "invalid_argument",
      `A tensor of ONNX element type ${type} cannot be read: supported are ${dtypes().join(", ")}.`,
    );
  }
  return dtype;
}

/** Number of elements of a shape; a scalar `[]` has one. Throws `invalid_argument` for an impossible dimension. */
export function elementCount(shape: readonly number[]): number {
  const count = shape.reduce(
    (product, size) => product * (Number.isSafeInteger(size) && size >= 0 ? size : NaN),
    1,
  );
  if (!Number.isSafeInteger(count)) {
    throw new RuntimeError(
      "invalid_argument",
      `[${shape.join(", ")}] is not a shape: every dimension must be a whole number ≥ 0.`,
    );
  }
  return count;
}

/** A new array of zeros for a shape; throws `out_of_memory`. */
export function zeros<D extends DType>(dtype: D, shape: readonly number[]): ArrayOf[D] {
  const count = elementCount(shape);
  const { array } = ELEMENTS[dtype];
  try {
    return new array(count);
  } catch (cause) {
    const bytes = count * array.BYTES_PER_ELEMENT;
    throw new RuntimeError(
      "out_of_memory",
      `No memory for a ${dtype} tensor of shape [${shape.join(", ")}]: ${bytes} bytes are needed.`,
      { cause },
    );
  }
}

function dtypes(): DType[] {
  return Object.keys(ELEMENTS) as DType[];
}
