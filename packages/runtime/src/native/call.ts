/** Calls functions of the table and turns every OrtStatus into a RuntimeError. */
import koffi from "koffi";
import { api, type Argument, type Out, type Pointer, type StatusFunction } from "./function-table.ts";
import { MAX_ASYNC_CALLS } from "./library.ts";
import { RuntimeError, runtimeErrorFromStatus } from "./runtime-error.ts";

/** Calls a function; throws when its status is a failure. */
export function call(native: StatusFunction, ...args: readonly Argument[]): void {
  check(native(...args));
}

/** Calls a function whose last parameter receives a pointer, and returns it. */
export function create(native: StatusFunction, ...args: readonly Argument[]): Pointer {
  const out: Out = [null];
  check(native(...args, out));
  return out[0] as Pointer;
}

/** Calls a function whose last parameter receives a number, and returns it. */
export function readNumber(native: StatusFunction, ...args: readonly Argument[]): number {
  const out: Out = [0];
  check(native(...args, out));
  return Number(out[0]);
}

/** Arguments of calls under way, held because the garbage collector must not free memory that another thread reads. */
const inFlight = new Set<readonly Argument[]>();

/** As `call`, on a thread of libuv's pool. Views among the arguments stay alive until it settles. */
export async function callAsync(native: StatusFunction, ...args: readonly Argument[]): Promise<void> {
  if (inFlight.size >= MAX_ASYNC_CALLS) {
    throw new RuntimeError(
      "failed",
      `${MAX_ASYNC_CALLS} calls of ONNX Runtime wait or run already: let some end before starting more.`,
    );
  }
  const { promise, resolve, reject } = Promise.withResolvers<Pointer | null>();
  inFlight.add(args);
  try {
    native.async(...args, (error, status) => (error === null ? resolve(status) : reject(error)));
    check(await promise);
  } finally {
    inFlight.delete(args);
  }
}

/** As `create`, on a thread of libuv's pool. */
export async function createAsync(native: StatusFunction, ...args: readonly Argument[]): Promise<Pointer> {
  const out: Out = [null];
  await callAsync(native, ...args, out);
  return out[0] as Pointer;
}

/** Copies a C string. */
export function readString(address: Pointer): string {
  return koffi.decode.string(address);
}

/** Makes an ArrayBuffer over native memory, which is neither copied nor owned. */
export function viewMemory(address: Pointer, bytes: number): ArrayBuffer {
  return koffi.view(address, bytes);
}

function check(status: Pointer | null): void {
  if (status === null) return;
  const error = runtimeErrorFromStatus(api().GetErrorCode(status), api().GetErrorMessage(status));
  api().ReleaseStatus(status);
  throw error;
}
