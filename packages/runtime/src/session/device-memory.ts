/** Device memory makes values that belong to no model and may be bound to every session on their device. */
import { CPU, type Device } from "../device/device.ts";
import { identityModel } from "../device/identity-model.ts";
import type { ArrayOf, DType } from "../native/element.ts";
import { Session } from "./inference-session.ts";
import { Value } from "./value.ts";

/**
 * A device's allocator belongs to a session, so this keeps the smallest one alive. Its values can be read and written
 * until it is disposed; their memory is freed when they are disposed too.
 */
export class DeviceMemory implements Disposable {
  /** The memory of this process, where values lie in typed arrays. */
  static readonly host = new DeviceMemory(CPU, undefined);

  readonly device: Device;
  readonly #session: Session | undefined;

  private constructor(device: Device, session: Session | undefined) {
    this.device = device;
    this.#session = session;
  }

  /** Rejects with `no_provider` where the device cannot be used. */
  static async open(device: Device): Promise<DeviceMemory> {
    if (device.type === "cpu") return DeviceMemory.host;
    const options = { device, threads: 1, optimization: "none" } as const;
    return new DeviceMemory(device, await Session.load(identityModel("float32"), options));
  }

  /**
   * A value with these elements: over `data` itself on the CPU, a copy of it on every other device. Rejects with
   * `out_of_memory`, and with `invalid_argument` as `Value.wrap` does.
   */
  async place<D extends DType>(dtype: D, data: ArrayOf[D], shape: readonly number[]): Promise<Value<D>> {
    if (this.#session === undefined) return Value.wrap(dtype, data, shape);
    const value = this.#session.allocate(dtype, shape);
    try {
      await value.write(data);
      return value;
    } catch (error) {
      value[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#session?.[Symbol.dispose]();
  }
}
