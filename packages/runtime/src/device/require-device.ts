/** Finds out whether a device can be had before a model is loaded on it: its libraries are loaded, and nothing else. */
import { api } from "../native/api.ts";
import { parseDevice } from "./device.ts";
import { ortEnvironment } from "../native/environment.ts";
import { createSessionOptions } from "../session/session-options.ts";

/** Throws `not_found` without ONNX Runtime, `no_provider` without what the device needs, `invalid_argument` for no device. */
export function requireDevice(name: string): void {
  const device = parseDevice(name);
  ortEnvironment();
  api().ReleaseSessionOptions(createSessionOptions({ device }));
}
