/** Finds out whether a device can be used before a model is loaded on it: loads its libraries and nothing else. */
import { api } from "../native/function-table.ts";
import { parseDevice } from "../device/device.ts";
import { ortEnvironment } from "../native/environment.ts";
import { createSessionOptions } from "./session-options.ts";

/** Throws `not_found` without ONNX Runtime, `no_provider` without what the device needs, `invalid_argument` for a name of no device. */
export function requireDevice(name: string): void {
  const device = parseDevice(name);
  ortEnvironment();
  api().ReleaseSessionOptions(createSessionOptions({ device }));
}
