/** Builds ONNX models for the tests of this package, which may not import the graph builder of packages/onnx. */
import { type DType, ELEMENTS } from "../src/native/element.ts";

export interface TestTensor {
  readonly name: string;
  /** Element type; null leaves it to the operator that makes the tensor. */
  readonly dtype: DType | null;
  /** Dimensions: a string names one that the run decides, the same wherever the name appears; null is one without a name. */
  readonly shape: readonly (number | string | null)[];
}

export interface TestNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Whole-number attributes. */
  readonly attributes?: Readonly<Record<string, number>>;
  readonly domain?: string;
}

interface TestInitializer {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Name of the file, inside the folder, that holds the bytes at `offset`, `length` of them. */
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

export interface TestGraph {
  readonly inputs: readonly TestTensor[];
  readonly outputs: readonly TestTensor[];
  readonly nodes: readonly TestNode[];
  readonly initializers?: readonly TestInitializer[];
}

/** Bytes of a model; field numbers are those of onnx.proto. */
export function buildModel(graph: TestGraph): Uint8Array {
  const opsets = [
    ["", 21],
    ["com.microsoft", 1],
  ] as const;
  return Uint8Array.from([
    ...number(1, 10), // ir_version
    ...message(7, graphProto(graph)),
    ...opsets.flatMap(([domain, version]) => message(8, [...text(1, domain), ...number(2, version)])),
  ]);
}

/** The op over inputs "a" and "b" with output "y", all of one element type. */
export function binaryModel(
  op: "Add" | "MatMul",
  shape: TestTensor["shape"],
  dtype: DType = "float32",
): Uint8Array {
  const tensor = (name: string): TestTensor => ({ name, dtype, shape });
  const nodes = [{ op, inputs: ["a", "b"], outputs: ["y"] }];
  return buildModel({ inputs: [tensor("a"), tensor("b")], outputs: [tensor("y")], nodes });
}

function graphProto(graph: TestGraph): number[] {
  return [
    ...graph.nodes.flatMap((node) => message(1, nodeProto(node))),
    ...text(2, "test"),
    ...(graph.initializers ?? []).flatMap((initializer) => message(5, initializerProto(initializer))),
    ...graph.inputs.flatMap((tensor) => message(11, valueInfoProto(tensor))),
    ...graph.outputs.flatMap((tensor) => message(12, valueInfoProto(tensor))),
  ];
}

function nodeProto({ op, inputs, outputs, attributes = {}, domain = "" }: TestNode): number[] {
  return [
    ...inputs.flatMap((name) => text(1, name)),
    ...outputs.flatMap((name) => text(2, name)),
    ...text(4, op),
    ...Object.entries(attributes).flatMap(([name, value]) =>
      message(5, [...text(1, name), ...number(3, value), ...number(20, 2)]),
    ),
    ...text(7, domain),
  ];
}

function valueInfoProto({ name, dtype, shape }: TestTensor): number[] {
  const dimensions = shape.flatMap((size) => message(1, dimension(size)));
  if (dtype === null) return text(1, name);
  const tensorType = message(1, [...number(1, ELEMENTS[dtype].type), ...message(2, dimensions)]);
  return [...text(1, name), ...message(2, tensorType)];
}

function dimension(size: number | string | null): number[] {
  if (size === null) return [];
  return typeof size === "string" ? text(2, size) : number(1, size);
}

function initializerProto(initializer: TestInitializer): number[] {
  const { name, dtype, shape, location, offset, length } = initializer;
  const entries = Object.entries({ location, offset, length });
  return [
    ...shape.flatMap((size) => number(1, size)),
    ...number(2, ELEMENTS[dtype].type),
    ...text(8, name),
    ...entries.flatMap(([key, value]) => message(13, [...text(1, key), ...text(2, String(value))])),
    ...number(14, 1), // data_location EXTERNAL
  ];
}

function number(field: number, value: number): number[] {
  return [...varint(field << 3), ...varint(value)];
}

function message(field: number, body: readonly number[]): number[] {
  return [...varint((field << 3) | 2), ...varint(body.length), ...body];
}

function text(field: number, value: string): number[] {
  return message(field, [...Buffer.from(value)]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
}
