/** ONNX Runtime for the rest of the repository: the only package that touches its native code. */
export { requireDevice } from "./device/require-device.ts";
export { Binding, type RunOptions } from "./session/binding.ts";
export { type Device, parseDevice } from "./device/device.ts";
export { type ArrayOf, type DType, type TypedArray } from "./native/element.ts";
export { RuntimeError, type RuntimeErrorCode } from "./native/runtime-error.ts";
export { Session } from "./session/inference-session.ts";
export { type SessionOptions } from "./session/session-options.ts";
export { Value } from "./session/value.ts";
