/** ONNX Runtime for the rest of the repository: the only package that uses its native code. */
export { CPU, type Device, deviceName, parseDevice } from "./device/device.ts";
export { RuntimeError } from "./native/runtime-error.ts";
export { Binding } from "./session/binding.ts";
export { DeviceMemory } from "./session/device-memory.ts";
export { Session } from "./session/inference-session.ts";
export { requireDevice } from "./session/require-device.ts";
export { type SessionOptions } from "./session/session-options.ts";
export { Value } from "./session/value.ts";
