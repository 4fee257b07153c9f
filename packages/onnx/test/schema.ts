/** ONNX's schema as a protobuf library reads it; apart because tests and the benchmark of the writer share it. */
import { readFileSync } from "node:fs";
import protobuf from "protobufjs";

const TEXT = readFileSync(new URL("./onnx-subset.proto", import.meta.url), "utf8");

export const ModelProto = protobuf.parse(TEXT, { keepCase: true }).root.lookupType("onnx.ModelProto");
