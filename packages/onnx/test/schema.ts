/** Loads ONNX's schema into a protobuf library, for the tests and the benchmark of our writer. */
import { readFileSync } from "node:fs";
import protobuf from "protobufjs";

const TEXT = readFileSync(new URL("./onnx-subset.proto", import.meta.url), "utf8");

export const ModelProto = protobuf.parse(TEXT, { keepCase: true }).root.lookupType("onnx.ModelProto");
