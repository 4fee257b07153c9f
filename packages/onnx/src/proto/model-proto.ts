/** Encodes a graph as the bytes of an ONNX ModelProto. Field numbers are those of onnx.proto3. */
import type { Attribute, ConstantData, GraphNode, GraphParts, Initializer } from "../tensor/graph-parts.ts";
import { ProtobufWriter } from "./protobuf.ts";
import { DATA_TYPE, type Tensor } from "../tensor/tensor.ts";

/** IR version 10 goes with operator set 21; ONNX Runtime 1.30 reads both. */
const IR_VERSION = 10;
const OPSET = 21;

/** AttributeProto.AttributeType */
const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, ints: 7 } as const;

export function encodeModel(graph: GraphParts): Uint8Array {
  return new ProtobufWriter(1 << 16)
    .int(1, IR_VERSION)
    .string(2, "llava")
    .message(7, (message) => writeGraph(message, graph))
    .message(8, (message) => message.string(1, "").int(2, OPSET))
    .message(8, (message) => message.string(1, "com.microsoft").int(2, 1))
    .finish();
}

function writeGraph(message: ProtobufWriter, graph: GraphParts): void {
  const renamed = new Map(graph.outputs.map((output) => [output.tensor.name, output.name]));
  const nameOf = (tensor: Tensor): string => renamed.get(tensor.name) ?? tensor.name;
  for (const node of graph.nodes) message.message(1, (inner) => writeNode(inner, node, nameOf));
  message.string(2, graph.name);
  for (const initializer of graph.initializers)
    message.message(5, (inner) => writeInitializer(inner, initializer));
  const overridable = graph.initializers
    .filter(({ isOverridable }) => isOverridable)
    .map(({ tensor }) => tensor);
  for (const input of [...graph.inputs, ...overridable])
    message.message(11, (inner) => writeValueInfo(inner, input.name, input));
  for (const output of graph.outputs)
    message.message(12, (inner) => writeValueInfo(inner, output.name, output.tensor));
}

function writeNode(message: ProtobufWriter, node: GraphNode, nameOf: (tensor: Tensor) => string): void {
  for (const input of node.inputs) message.string(1, input ? nameOf(input) : "");
  for (const output of node.outputs) message.string(2, nameOf(output));
  message.string(4, node.op);
  for (const [name, attribute] of Object.entries(node.attributes)) {
    message.message(5, (inner) => writeAttribute(inner, name, attribute));
  }
  if (node.domain !== "") message.string(7, node.domain);
}

function writeAttribute(message: ProtobufWriter, name: string, attribute: Attribute): void {
  message.string(1, name);
  if ("int" in attribute) message.int(3, attribute.int).int(20, ATTRIBUTE_TYPE.int);
  else if ("float" in attribute) message.float(2, attribute.float).int(20, ATTRIBUTE_TYPE.float);
  else if ("string" in attribute) message.string(4, attribute.string).int(20, ATTRIBUTE_TYPE.string);
  else {
    for (const value of attribute.ints) message.int(8, value);
    message.int(20, ATTRIBUTE_TYPE.ints);
  }
}

function writeInitializer(message: ProtobufWriter, { tensor, content }: Initializer): void {
  for (const dim of tensor.shape) message.int(1, Number(dim));
  message.int(2, DATA_TYPE[tensor.dtype]).string(8, tensor.name);
  if ("data" in content) {
    message.bytes(9, bytesOf(content.data));
    return;
  }
  const { location, offset, length } = content.external;
  const entries = { location, offset: String(offset), length: String(length) };
  for (const [key, value] of Object.entries(entries))
    message.message(13, (inner) => inner.string(1, key).string(2, value));
  message.int(14, 1); // data_location = EXTERNAL
}

/** The elements as raw_data has them: little-endian, as is every platform that ONNX Runtime's packages support. */
export function bytesOf(data: ConstantData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function writeValueInfo(message: ProtobufWriter, name: string, { dtype, shape }: Tensor): void {
  message.string(1, name).message(2, (type) =>
    type.message(1, (tensorType) =>
      tensorType.int(1, DATA_TYPE[dtype]).message(2, (shapeProto) => {
        for (const dim of shape) {
          shapeProto.message(1, (inner) =>
            typeof dim === "number" ? inner.int(1, dim) : inner.string(2, dim),
          );
        }
      }),
    ),
  );
}
