/** A value is a tensor whose elements lie in a typed array, in memory of ONNX Runtime, or on a device. */
import { api, type Pointer } from "../native/function-table.ts";
import { call, create, readNumber, viewMemory } from "../native/call.ts";
import { CPU, type Device, deviceName, memoryInfo } from "../device/device.ts";
import {
  type ArrayOf,
  type DType,
  dtypeOfElement,
  elementCount,
  ELEMENTS,
  type TypedArray,
} from "../native/element.ts";
import { Handle } from "../native/handle.ts";
import { RuntimeError } from "../native/runtime-error.ts";

/**
 * Disposing a value ends its use; the memory stays until also every view of it and every binding that it is in are
 * gone. A typed array got from `data()` over memory of ONNX Runtime becomes empty at that moment, never dangling.
 */
export class Value<D extends DType = DType> implements Disposable {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly device: Device;
  /** The OrtValue, for this package only. */
  readonly handle: Handle;
  readonly #memory: Memory<D>;

  /** For this package only; use `Value.wrap` or `session.allocate`. */
  constructor(dtype: D, shape: readonly number[], handle: Handle, memory: Memory<D>) {
    this.dtype = dtype;
    this.shape = shape;
    this.handle = handle;
    this.device = memory.device;
    this.#memory = memory;
  }

  /**
   * A tensor over `data`, not copied: what is written into the array later is what a run reads, and a run writes
   * into the array. `data` may lie over a SharedArrayBuffer. Throws `invalid_argument` when the array is not the
   * one of the element type or its length is not that of the shape.
   */
  static wrap<D extends DType>(dtype: D, data: ArrayOf[D], shape: readonly number[]): Value<D> {
    return wrapArray(dtype, data, shape);
  }

  /** A tensor of zeros on the host. */
  static zeros<D extends DType>(dtype: D, shape: readonly number[]): Value<D> {
    return wrapArray(dtype, new ELEMENTS[dtype].array(elementCount(shape)), shape);
  }

  /** The elements, not copied. Throws `invalid_argument` for memory on a device: use `read()` there. */
  data(): ArrayOf[D] {
    void this.handle.pointer;
    if (this.#memory.kind === "host") return this.#memory.array;
    throw new RuntimeError(
      "invalid_argument",
      `The elements of this value lie on ${deviceName(this.device)}: read() copies them, data() cannot show them.`,
    );
  }

  /**
   * Part of a value that shares its memory: the elements from `offsetElements` on, as many as `shape` has.
   * One slot of a KV cache `[slots, kvHeads, capacity, headSize]` is
   * `view(slot * kvHeads * capacity * headSize, [1, kvHeads, capacity, headSize])`. Throws `invalid_argument` for
   * memory of WebGPU, where a buffer has no address.
   */
  view(offsetElements: number, shape: readonly number[]): Value<D> {
    const end = offsetElements + elementCount(shape);
    const length = elementCount(this.shape);
    if (!Number.isSafeInteger(offsetElements) || offsetElements < 0 || end > length) {
      throw new RuntimeError(
        "invalid_argument",
        `A view of shape [${shape.join(", ")}] at element ${offsetElements} ends at ${end}, but the value has ${length} elements.`,
      );
    }
    if (this.#memory.kind === "device") return viewOnDevice(this, this.#memory, offsetElements, shape);
    const data = this.data();
    const { array } = ELEMENTS[this.dtype];
    const part = new array(
      data.buffer,
      data.byteOffset + offsetElements * array.BYTES_PER_ELEMENT,
      end - offsetElements,
    );
    return wrapArray(this.dtype, part, shape, this.handle);
  }

  /** A copy of the elements on the host, from any device. */
  async read(): Promise<ArrayOf[D]> {
    void this.handle.pointer;
    const memory = this.#memory;
    if (memory.kind === "host") return copy(this.dtype, this.data());
    return (await memory.read(this)) as ArrayOf[D];
  }

  /**
   * Copies `data` over the elements, on any device. Throws `invalid_argument` when the array is not the one of the
   * element type or its length is not that of the shape.
   */
  async write(data: ArrayOf[D]): Promise<void> {
    void this.handle.pointer;
    using source = wrapArray(this.dtype, data, this.shape);
    const memory = this.#memory;
    if (memory.kind === "host") copyInto(memory.array, data);
    else await memory.write(this, source);
  }

  [Symbol.dispose](): void {
    this.handle[Symbol.dispose]();
  }
}

type Memory<D extends DType> =
  | { readonly kind: "host"; readonly device: Device; readonly array: ArrayOf[D] }
  | {
      readonly kind: "device";
      readonly device: Device;
      readonly read: (value: Value) => Promise<TypedArray>;
      /** Copies `source`, on the host and of the same shape, into `value`. */
      readonly write: (value: Value, source: Value) => Promise<void>;
    };

function wrapArray<D extends DType>(
  dtype: D,
  array: ArrayOf[D],
  shape: readonly number[],
  parent?: Handle,
): Value<D> {
  const count = elementCount(shape);
  if (!(array instanceof ELEMENTS[dtype].array) || array.length !== count) {
    throw new RuntimeError(
      "invalid_argument",
      `A ${dtype} tensor of shape [${shape.join(", ")}] needs a ${ELEMENTS[dtype].array.name} of ${count} elements, not ${nameOf(array)} of ${array.length}.`,
    );
  }
  const pointer = create(
    api().CreateTensorWithDataAsOrtValue,
    memoryInfo(CPU),
    array.length > 0 ? array : NOTHING,
    array.byteLength,
    dimensions(shape),
    shape.length,
    ELEMENTS[dtype].type,
  );
  const parentHold = parent?.hold();
  const handle = new Handle("This value", pointer, () => {
    api().ReleaseValue(pointer);
    parentHold?.[Symbol.dispose]();
  });
  return new Value(dtype, [...shape], handle, { kind: "host", device: CPU, array });
}

/** Address of tensors without elements: ONNX Runtime refuses a null one. */
const NOTHING = new Uint8Array(8);

/** Takes over an OrtValue that ONNX Runtime allocated on the host; releases it when it cannot be shown. */
export function valueOfNative(pointer: Pointer): Value {
  try {
    return viewNative(pointer);
  } catch (error) {
    api().ReleaseValue(pointer);
    throw error;
  }
}

function viewNative(pointer: Pointer): Value {
  const { dtype, shape } = describe(pointer);
  const array = ELEMENTS[dtype].array;
  const count = elementCount(shape);
  const address = create(api().GetTensorMutableData, pointer);
  const buffer = count > 0 ? viewMemory(address, count * array.BYTES_PER_ELEMENT) : new ArrayBuffer(0);
  const handle = new Handle("This value", pointer, () => {
    // Detaches: a typed array that is still in use becomes empty instead of pointing at freed memory.
    buffer.transfer(0);
    api().ReleaseValue(pointer);
  });
  return new Value<DType>(dtype, shape, handle, { kind: "host", device: CPU, array: new array(buffer) });
}

/** A tensor in a device's memory, from an allocator that `session` keeps; its elements are undefined. */
export function valueOnDevice<D extends DType>(
  dtype: D,
  shape: readonly number[],
  allocator: Pointer,
  session: Handle,
  memory: Memory<D>,
): Value<D> {
  elementCount(shape);
  const { type } = ELEMENTS[dtype];
  const pointer = create(api().CreateTensorAsOrtValue, allocator, dimensions(shape), shape.length, type);
  const sessionHold = session.hold();
  const handle = new Handle("This value", pointer, () => {
    api().ReleaseValue(pointer);
    sessionHold[Symbol.dispose]();
  });
  return new Value(dtype, [...shape], handle, memory);
}

function viewOnDevice<D extends DType>(
  whole: Value<D>,
  memory: Memory<D>,
  offsetElements: number,
  shape: readonly number[],
): Value<D> {
  const { type, array } = ELEMENTS[whole.dtype];
  if (memory.device.type !== "cuda") {
    const where = deviceName(memory.device);
    throw new RuntimeError("invalid_argument", `Memory of ${where} cannot be viewed in parts.`);
  }
  const start = create(api().GetTensorMutableData, whole.handle.pointer);
  const pointer = create(
    api().CreateTensorWithDataAsOrtValue,
    memoryInfo(memory.device),
    start + BigInt(offsetElements * array.BYTES_PER_ELEMENT),
    elementCount(shape) * array.BYTES_PER_ELEMENT,
    dimensions(shape),
    shape.length,
    type,
  );
  const wholeHold = whole.handle.hold();
  const handle = new Handle("This value", pointer, () => {
    api().ReleaseValue(pointer);
    wholeHold[Symbol.dispose]();
  });
  return new Value(whole.dtype, [...shape], handle, memory);
}

function describe(pointer: Pointer): { dtype: DType; shape: readonly number[] } {
  const info = create(api().GetTensorTypeAndShape, pointer);
  try {
    const dtype = dtypeOfElement(readNumber(api().GetTensorElementType, info));
    const sizes = new BigInt64Array(readNumber(api().GetDimensionsCount, info));
    call(api().GetDimensions, info, sizes, sizes.length);
    return { dtype, shape: Array.from(sizes, Number) };
  } finally {
    api().ReleaseTensorTypeAndShapeInfo(info);
  }
}

function dimensions(shape: readonly number[]): BigInt64Array {
  return BigInt64Array.from(shape, BigInt);
}

function copy<D extends DType>(dtype: D, data: ArrayOf[D]): ArrayOf[D] {
  const { array } = ELEMENTS[dtype];
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  return new array(bytes.buffer, 0, data.length);
}

/** Bytes, since the element types of two arrays that have the same type parameter are the same. */
function copyInto(target: TypedArray, source: TypedArray): void {
  new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(
    new Uint8Array(source.buffer, source.byteOffset, source.byteLength),
  );
}

function nameOf(array: TypedArray): string {
  return Object.prototype.toString.call(array).slice("[object ".length, -1);
}
