/** A binding holds inputs and outputs of a session, bound once and run many times. */
import { api, type Out, type Pointer, readPointer } from "../native/function-table.ts";
import { call, callAsync, create } from "../native/call.ts";
import { CPU, type Device, memoryInfo } from "../device/device.ts";
import { Handle, type Hold } from "../native/handle.ts";
import { RuntimeError } from "../native/runtime-error.ts";
import { type Value, valueOfNative } from "./value.ts";

export interface RunOptions {
  /** Signal that ends the run after the operator that is being computed; the run rejects with `terminated`. */
  readonly signal?: AbortSignal | undefined;
}

/** The parts of a session that its bindings use. */
export interface BoundSession {
  readonly handle: Handle;
  readonly device: Device;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

interface Bound {
  /** The value, whose typed array the garbage collector would free if nothing referred to it. */
  readonly value: Value;
  readonly hold: Hold;
}

/** Marks an output that the runtime allocates anew in each run. */
const TO_CPU = "to CPU";

/**
 * A binding keeps the values in it alive until they are replaced or it is disposed. The same value may be input
 * and output (a KV cache, in place). One run at a time; different bindings of one session may run at once.
 */
export class Binding implements Disposable {
  readonly #session: BoundSession;
  readonly #handle: Handle;
  readonly #inputs = new Map<string, Bound>();
  /** Outputs in the order of ONNX Runtime's own list: a name keeps its place when it is bound again. */
  readonly #outputs = new Map<string, Bound | typeof TO_CPU>();
  /** Names bound by `outputToCpu` that the last run has filled. */
  readonly #results = new Set<string>();
  #running = false;

  /** For this package only; use `session.bind()`. */
  constructor(session: BoundSession) {
    this.#session = session;
    const native = create(api().CreateIoBinding, session.handle.pointer);
    const sessionHold = session.handle.hold();
    this.#handle = new Handle("This binding", native, () => {
      api().ReleaseIoBinding(native);
      for (const bound of [...this.#inputs.values(), ...this.#outputs.values()]) release(bound);
      sessionHold[Symbol.dispose]();
    });
  }

  /** Binds an input. Throws `invalid_argument` for a name that the model does not have, or during a run. */
  input(name: string, value: Value): this {
    const pointer = this.#open();
    requireName("input", name, this.#session.inputs);
    call(api().BindInput, pointer, name, value.handle.pointer);
    replace(this.#inputs, name, { value, hold: value.handle.hold() });
    return this;
  }

  /** Binds an output to a value that each run writes into; its shape must be the one that the run yields. */
  output(name: string, value: Value): this {
    const pointer = this.#open();
    requireName("output", name, this.#session.outputs);
    call(api().BindOutput, pointer, name, value.handle.pointer);
    replace(this.#outputs, name, { value, hold: value.handle.hold() });
    this.#results.delete(name);
    return this;
  }

  /** Binds an output that the runtime allocates on the host in each run; `result(name)` gives it. */
  outputToCpu(name: string): this {
    const pointer = this.#open();
    requireName("output", name, this.#session.outputs);
    call(api().BindOutputToDevice, pointer, name, memoryInfo(CPU));
    replace(this.#outputs, name, TO_CPU);
    this.#results.delete(name);
    return this;
  }

  /**
   * Runs on another thread. Rejects with `terminated` when the signal was aborted before the run had ended, with
   * `invalid_argument` for missing inputs and wrong shapes, and with the codes of ONNX Runtime's own failures.
   * Disposing the session or the binding meanwhile does not disturb the run: memory is freed after it.
   */
  async run(options: RunOptions = {}): Promise<void> {
    const { signal } = options;
    const pointer = this.#prepare();
    if (isAborted(signal)) throw terminated(signal);
    using session = this.#session.handle.hold();
    using binding = this.#handle.hold();
    void binding;
    using runOptions = signal === undefined ? undefined : new Termination(signal);
    this.#running = true;
    try {
      await callAsync(api().RunWithBinding, session.pointer, runOptions?.pointer ?? null, pointer);
    } catch (error) {
      throw isAborted(signal) ? terminated(signal, error) : error;
    } finally {
      this.#running = false;
    }
    if (isAborted(signal)) throw terminated(signal);
    this.#markResults();
  }

  /** Runs on this thread, which it blocks: for runs that are shorter than handing them over (about 0.1 ms). */
  runSync(): void {
    const pointer = this.#prepare();
    call(api().RunWithBinding, this.#session.handle.pointer, null, pointer);
    this.#markResults();
  }

  /** The last run's output of a name bound by `outputToCpu`; the caller disposes it. */
  result(name: string): Value {
    const pointer = this.#open();
    if (!this.#results.has(name)) throw noResult(name, this.#outputs.get(name) === TO_CPU);
    const index = [...this.#outputs.keys()].indexOf(name);
    const pointers = boundOutputs(pointer);
    for (const [i, other] of pointers.entries()) if (i !== index) api().ReleaseValue(other);
    const own = pointers[index];
    if (own === undefined) throw noResult(name, true);
    return valueOfNative(own);
  }

  [Symbol.dispose](): void {
    this.#handle[Symbol.dispose]();
  }

  /** The native binding, when it may be changed or read. */
  #open(): Pointer {
    const pointer = this.#handle.pointer;
    if (!this.#running) return pointer;
    throw new RuntimeError(
      "invalid_argument",
      "This binding is running: wait for the run, or use another binding.",
    );
  }

  #prepare(): Pointer {
    const pointer = this.#open();
    void this.#session.handle.pointer;
    this.#requireInputs();
    this.#results.clear();
    if (this.#session.device.type !== "cpu") this.#sendInputs(pointer);
    for (const [name, output] of this.#outputs) {
      // Binding again releases the last run's tensor: ONNX Runtime would write over it, or refuse another shape.
      if (output === TO_CPU) call(api().BindOutputToDevice, pointer, name, memoryInfo(CPU));
    }
    return pointer;
  }

  #markResults(): void {
    for (const [name, output] of this.#outputs) if (output === TO_CPU) this.#results.add(name);
  }

  #requireInputs(): void {
    if (this.#inputs.size === this.#session.inputs.length) return;
    const missing = this.#session.inputs.filter((name) => !this.#inputs.has(name));
    throw new RuntimeError(
      "invalid_argument",
      `The model needs the input ${missing.join(", ")}: bind it before the run.`,
    );
  }

  /**
   * Binds the inputs again: BindInput copies a value that an operator needs on another device, once, so that what changed
   * since would be lost. That concerns every value on the host, and a value on the device that an operator reads on the CPU.
   */
  #sendInputs(pointer: Pointer): void {
    for (const [name, { hold }] of this.#inputs) call(api().BindInput, pointer, name, hold.pointer);
  }
}

/** Native run options that a signal can terminate. */
class Termination implements Disposable {
  readonly pointer: Pointer;
  readonly #signal: AbortSignal;
  readonly #abort: () => void;

  constructor(signal: AbortSignal) {
    this.pointer = create(api().CreateRunOptions);
    this.#signal = signal;
    this.#abort = () => call(api().RunOptionsSetTerminate, this.pointer);
    signal.addEventListener("abort", this.#abort, { once: true });
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#abort);
    api().ReleaseRunOptions(this.pointer);
  }
}

function noResult(name: string, bound: boolean): RuntimeError {
  const what = bound
    ? "has no result yet: run the binding first."
    : "was not bound by outputToCpu: it has no result.";
  return new RuntimeError("invalid_argument", `The output "${name}" ${what}`);
}

/** A function because TypeScript would narrow the property, which changes while a run is awaited. */
function isAborted(signal: AbortSignal | undefined): signal is AbortSignal {
  return signal !== undefined && signal.aborted;
}

function terminated(signal: AbortSignal, error?: unknown): RuntimeError {
  return new RuntimeError("terminated", "The run was aborted by its signal.", {
    cause: error ?? signal.reason,
  });
}

/** New OrtValues for the outputs, in the order they were first bound; none before the first run. */
function boundOutputs(binding: Pointer): Pointer[] {
  const allocator = create(api().GetAllocatorWithDefaultOptions);
  const array: Out = [null];
  const count: Out = [0];
  call(api().GetBoundOutputValues, binding, allocator, array, count);
  const address = array[0];
  if (typeof address !== "bigint") return [];
  const pointers = Array.from({ length: Number(count[0]) }, (_, index) => readPointer(address, index));
  call(api().AllocatorFree, allocator, address);
  return pointers;
}

function requireName(kind: "input" | "output", name: string, names: readonly string[]): void {
  if (names.includes(name)) return;
  throw new RuntimeError(
    "invalid_argument",
    `The model has no ${kind} "${name}"; its ${kind}s are: ${names.join(", ") || "none"}.`,
  );
}

function replace<B extends Bound | typeof TO_CPU>(map: Map<string, B>, name: string, bound: B): void {
  const old = map.get(name);
  map.set(name, bound);
  if (old !== undefined) release(old);
}

function release(bound: Bound | typeof TO_CPU): void {
  if (bound !== TO_CPU) bound.hold[Symbol.dispose]();
}
