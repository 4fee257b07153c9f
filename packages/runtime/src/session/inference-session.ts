/** A session holds a loaded model on a device and runs it. */
import { api, type Pointer, type StatusFunction } from "../native/function-table.ts";
import { Binding, type BoundSession, type RunOptions } from "./binding.ts";
import { call, create, createAsync, readNumber, readString } from "../native/call.ts";
import { CPU, type Device, memoryInfo, noProvider } from "../device/device.ts";
import { type DType, type TypedArray, zeros } from "../native/element.ts";
import { ortEnvironment } from "../native/environment.ts";
import { Handle } from "../native/handle.ts";
import { identityModel } from "../device/identity-model.ts";
import { RuntimeError } from "../native/runtime-error.ts";
import { createSessionOptions, type SessionOptions } from "./session-options.ts";
import { Value, valueOnDevice } from "./value.ts";

/** Messages of a provider whose library is installed on a machine that has no device or no driver for it. */
const NO_DEVICE = /adapter|no CUDA-capable|driver version|cudaGetDevice|device ordinal/i;

/**
 * Disposing a session ends its use: what is running then ends normally, and the memory is freed when the last run,
 * binding and device value of the session are gone.
 */
export class Session implements Disposable {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly device: Device;
  readonly #handle: Handle;
  #allocator: Pointer | undefined;
  readonly #copiers = new Map<DType, Promise<Session>>();

  private constructor(pointer: Pointer, device: Device) {
    this.device = device;
    this.#handle = new Handle("This session", pointer, () => {
      if (this.#allocator !== undefined) api().ReleaseAllocator(this.#allocator);
      api().ReleaseSession(pointer);
    });
    this.inputs = names(pointer, api().SessionGetInputCount, api().SessionGetInputName);
    this.outputs = names(pointer, api().SessionGetOutputCount, api().SessionGetOutputName);
  }

  /**
   * Loads a model from a file or from bytes, on another thread. Rejects with `not_found` for a missing file,
   * `invalid_argument` for what is not a valid model, `no_provider` where the device cannot be used.
   */
  static async load(model: Uint8Array | string, options: SessionOptions = {}): Promise<Session> {
    const environment = ortEnvironment();
    const native = createSessionOptions(options);
    const device = options.device ?? CPU;
    try {
      const pointer =
        typeof model === "string"
          ? await createAsync(api().CreateSession, environment, model, native)
          : await createAsync(api().CreateSessionFromArray, environment, model, model.byteLength, native);
      return new Session(pointer, device);
    } catch (error) {
      const deviceMissing =
        device.type !== "cpu" && error instanceof RuntimeError && NO_DEVICE.test(error.message);
      throw deviceMissing ? noProvider(device, error) : error;
    } finally {
      api().ReleaseSessionOptions(native);
    }
  }

  /** A tensor on the session's device; zeros on the CPU, undefined elsewhere. Throws `out_of_memory`. */
  allocate<D extends DType>(dtype: D, shape: readonly number[]): Value<D> {
    const pointer = this.#handle.pointer;
    if (this.device.type === "cpu") {
      return Value.wrap(dtype, zeros(dtype, shape), shape);
    }
    this.#allocator ??= create(api().CreateAllocator, pointer, memoryInfo(this.device));
    return valueOnDevice(dtype, shape, this.#allocator, this.#handle, {
      kind: "device",
      device: this.device,
      read: (value) => this.#copyToHost(value),
      write: (value, source) => this.#copyFromHost(value, source),
    });
  }

  /** An empty binding of this session. */
  bind(): Binding {
    const { device, inputs, outputs } = this;
    const session: BoundSession = { handle: this.#handle, device, inputs, outputs };
    return new Binding(session);
  }

  /**
   * Runs once with names looked up and outputs allocated on the host; the caller disposes them. Errors as
   * `Binding.run`.
   */
  async run(
    feeds: Readonly<Record<string, Value>>,
    fetches: readonly string[],
    options: RunOptions = {},
  ): Promise<Record<string, Value>> {
    using binding = this.bind();
    for (const [name, value] of Object.entries(feeds)) binding.input(name, value);
    for (const name of fetches) binding.outputToCpu(name);
    await binding.run(options);
    // When one result cannot be shown, those before it are released.
    using results = new DisposableStack();
    const entries = [...new Set(fetches)].map((name) => [name, results.use(binding.result(name))] as const);
    results.move();
    return Object.fromEntries(entries);
  }

  [Symbol.dispose](): void {
    this.#handle[Symbol.dispose]();
    for (const copier of this.#copiers.values())
      void copier.then(
        (session) => session[Symbol.dispose](),
        () => {},
      );
    this.#copiers.clear();
  }

  async #copyToHost(value: Value): Promise<TypedArray> {
    void this.#handle.pointer;
    const copier = await this.#copier(value.dtype);
    using binding = copier.bind().input("x", value).outputToCpu("y");
    await binding.run();
    using copied = binding.result("y");
    return await copied.read();
  }

  async #copyFromHost(value: Value, source: Value): Promise<void> {
    void this.#handle.pointer;
    const copier = await this.#copier(value.dtype);
    using binding = copier.bind().input("x", source).output("y", value);
    await binding.run();
  }

  #copier(dtype: DType): Promise<Session> {
    const { device } = this;
    const known = this.#copiers.get(dtype);
    if (known !== undefined) return known;
    const copier = Session.load(identityModel(dtype), { device, threads: 1, optimization: "none" });
    this.#copiers.set(dtype, copier);
    // A failure, for example for want of memory, is not kept: the next copy tries again.
    copier.catch(() => this.#copiers.delete(dtype));
    return copier;
  }
}

function names(session: Pointer, count: StatusFunction, name: StatusFunction): readonly string[] {
  const allocator = create(api().GetAllocatorWithDefaultOptions);
  return Array.from({ length: readNumber(count, session) }, (_, index) => {
    const address = create(name, session, index, allocator);
    const text = readString(address);
    call(api().AllocatorFree, allocator, address);
    return text;
  });
}
