/** Builds the smallest ONNX model, one Identity: every provider can copy between its device and the host with it. */
import { type DType, ELEMENTS } from "../native/element.ts";

/**
 * Bytes of a model that copies its input "x" to its output "y", which have any shape. The field numbers are those of
 * onnx.proto, and every length is under 128, so that its varint is one byte.
 */
export function identityModel(dtype: DType): Uint8Array<ArrayBuffer> {
  const tensorType = message(1, [...varint(1, ELEMENTS[dtype].type)]); // TypeProto.tensor_type.elem_type
  const valueInfo = (name: string): number[] => [...text(1, name), ...message(2, tensorType)];
  const node = [...text(1, "x"), ...text(2, "y"), ...text(4, "Identity")];
  const graph = [
    ...message(1, node),
    ...text(2, "copy"),
    ...message(11, valueInfo("x")),
    ...message(12, valueInfo("y")),
  ];
  const opset = [...text(1, ""), ...varint(2, 16)]; // Identity-16 takes bfloat16
  return Uint8Array.from([...varint(1, 8), ...message(7, graph), ...message(8, opset)]);
}

function varint(field: number, value: number): number[] {
  return [field << 3, value];
}

function message(field: number, body: readonly number[]): number[] {
  return [(field << 3) | 2, body.length, ...body];
}

function text(field: number, value: string): number[] {
  return message(field, [...Buffer.from(value)]);
}
