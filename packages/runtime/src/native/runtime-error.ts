/** Defines the error of this package, which callers match on its code. */

/**
 * - `not_found`: a file (model, external data, the ONNX Runtime library) is missing
 * - `invalid_argument`: the caller's model, name, shape, type or use is wrong
 * - `no_provider`: the device cannot be used on this machine; the message names what is missing
 * - `terminated`: the run was aborted by its signal
 * - `out_of_memory`: host or device memory ran out
 * - `failed`: anything else that ONNX Runtime reports
 */
export type RuntimeErrorCode =
  | "not_found"
  | "invalid_argument"
  | "no_provider"
  | "terminated"
  | "out_of_memory"
  | "failed";

export class RuntimeError extends Error {
  override readonly name = "RuntimeError";
  readonly code: RuntimeErrorCode;

  constructor(code: RuntimeErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The numbers of the C enum OrtErrorCode (onnxruntime_c_api.h); every other number means `failed`. */
const STATUS_CODES: Readonly<Record<number, RuntimeErrorCode>> = {
  2: "invalid_argument", // ORT_INVALID_ARGUMENT
  3: "not_found", // ORT_NO_SUCHFILE
  4: "invalid_argument", // ORT_NO_MODEL
  7: "invalid_argument", // ORT_INVALID_PROTOBUF
  10: "invalid_argument", // ORT_INVALID_GRAPH
  14: "not_found", // ORT_NOT_FOUND
};

/** ONNX Runtime has no status number for these two: only the text distinguishes them from other failures. */
const OUT_OF_MEMORY = /bad_alloc|out of memory|failed to allocate memory|available memory of/i;
const TERMINATED = /terminate flag/i;

export function runtimeErrorFromStatus(status: number, message: string): RuntimeError {
  return new RuntimeError(codeOfStatus(status, message), `ONNX Runtime: ${withoutSource(message)}`);
}

/** Assertions of ONNX Runtime begin with file, line, signature and condition; the sentence for users follows them. */
function withoutSource(message: string): string {
  const readable = message
    .split(/\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : | was false\. /)
    .at(-1)
    ?.trim();
  return readable === undefined || readable === "" ? message.trim() : readable;
}

function codeOfStatus(status: number, message: string): RuntimeErrorCode {
  if (OUT_OF_MEMORY.test(message)) return "out_of_memory";
  if (TERMINATED.test(message)) return "terminated";
  return STATUS_CODES[status] ?? "failed";
}
