/** ONNX Runtime for the rest of the repository: the only package that touches its native code. */
export { requireDevice } from "./require-device.ts";
export { Binding, type RunOptions } from "./binding.ts";
export { type Device, parseDevice } from "./device.ts";
export { type ArrayOf, type DType, type TypedArray } from "./element.ts";
export { RuntimeError, type RuntimeErrorCode } from "./runtime-error.ts";
export { Session } from "./session.ts";
export { type SessionOptions } from "./session-options.ts";
export { Value } from "./value.ts";
