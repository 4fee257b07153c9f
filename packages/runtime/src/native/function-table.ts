/** The function table of ONNX Runtime's C API: which index is which function, with which parameters. */
import koffi, { type LibraryHandle, type TypeObject } from "koffi";
import { loadLibrary } from "./library.ts";
import { RuntimeError } from "./runtime-error.ts";

/** An address in native memory. */
export type Pointer = bigint;

/** The cell that a native call writes its result into. */
export type Out = [unknown];

export type Argument = Pointer | number | string | readonly string[] | ArrayBufferView | Out | null;

/** A function that returns an OrtStatus: null for success, else a pointer that must be released. */
export interface StatusFunction {
  (...args: readonly Argument[]): Pointer | null;
  readonly async: (...args: readonly (Argument | AsyncCallback)[]) => void;
}

type AsyncCallback = (error: Error | null, status: Pointer | null) => void;

/**
 * The version that is requested from OrtApiBase.GetApi: ORT_API_VERSION of the headers in which the indices below were
 * counted. A library supports every version up to its own (1.30 has number 30).
 */
const API_VERSION = 28;

/** ONNX Runtime takes file names as wchar_t on Windows and as bytes elsewhere (ORTCHAR_T). */
const FILE_NAME = process.platform === "win32" ? "str16" : "str";

/** A type of a parameter, as koffi takes it. */
type Parameter = string | TypeObject | ReturnType<typeof koffi.out>;

/** The index in the table, then the parameters. */
type Row = readonly [number, ...Parameter[]];

const POINTER = "void *";
const OUT_POINTER = koffi.out(koffi.pointer("void *"));
const OUT_SIZE = koffi.out(koffi.pointer("size_t"));
const OUT_INT = koffi.out(koffi.pointer("int"));
const STRINGS = koffi.pointer("str");

/**
 * Functions that return an OrtStatus: index in struct OrtApi, then the parameters. The indices are the order of
 * the members in onnxruntime_c_api.h; the header promises never to reorder or remove one, only to append. Members
 * that exist only in WebAssembly builds are not counted. The anchors CreateRunOptions 39, ReleaseStatus 93 and
 * SynchronizeBoundOutputs 203 check the count.
 */
const STATUS_FUNCTIONS = {
  CreateEnv: [3, "int", "str", OUT_POINTER],
  CreateSession: [7, POINTER, FILE_NAME, POINTER, OUT_POINTER],
  CreateSessionFromArray: [8, POINTER, POINTER, "size_t", POINTER, OUT_POINTER],
  CreateSessionOptions: [10, OUT_POINTER],
  SetSessionLogSeverityLevel: [22, POINTER, "int"],
  SetSessionGraphOptimizationLevel: [23, POINTER, "int"],
  SetIntraOpNumThreads: [24, POINTER, "int"],
  SessionGetInputCount: [30, POINTER, OUT_SIZE],
  SessionGetOutputCount: [31, POINTER, OUT_SIZE],
  SessionGetInputName: [36, POINTER, "size_t", POINTER, OUT_POINTER],
  SessionGetOutputName: [37, POINTER, "size_t", POINTER, OUT_POINTER],
  CreateRunOptions: [39, OUT_POINTER],
  RunOptionsSetTerminate: [46, POINTER],
  CreateTensorAsOrtValue: [48, POINTER, POINTER, "size_t", "int", OUT_POINTER],
  CreateTensorWithDataAsOrtValue: [49, POINTER, POINTER, "size_t", POINTER, "size_t", "int", OUT_POINTER],
  GetTensorMutableData: [51, POINTER, OUT_POINTER],
  GetTensorElementType: [60, POINTER, OUT_INT],
  GetDimensionsCount: [61, POINTER, OUT_SIZE],
  GetDimensions: [62, POINTER, POINTER, "size_t"],
  GetTensorTypeAndShape: [65, POINTER, OUT_POINTER],
  CreateMemoryInfo: [68, "str", "int", "int", "int", OUT_POINTER],
  CreateCpuMemoryInfo: [69, "int", "int", OUT_POINTER],
  AllocatorFree: [76, POINTER, POINTER],
  GetAllocatorWithDefaultOptions: [78, OUT_POINTER],
  AddSessionConfigEntry: [130, POINTER, "str", "str"],
  CreateAllocator: [131, POINTER, POINTER, OUT_POINTER],
  RunWithBinding: [133, POINTER, POINTER, POINTER],
  CreateIoBinding: [134, POINTER, OUT_POINTER],
  BindInput: [136, POINTER, "str", POINTER],
  BindOutput: [137, POINTER, "str", POINTER],
  BindOutputToDevice: [138, POINTER, "str", POINTER],
  GetBoundOutputValues: [140, POINTER, POINTER, OUT_POINTER, OUT_SIZE],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, POINTER, POINTER],
  CreateCUDAProviderOptions: [205, OUT_POINTER],
  UpdateCUDAProviderOptions: [206, POINTER, STRINGS, STRINGS, "size_t"],
  SessionOptionsAppendExecutionProvider: [216, POINTER, "str", STRINGS, STRINGS, "size_t"],
} as const satisfies Record<string, Row>;

/** Functions `void release(object)` and their indices, counted in the same way. */
const RELEASE_FUNCTIONS = {
  ReleaseStatus: 93,
  ReleaseSession: 95,
  ReleaseValue: 96,
  ReleaseRunOptions: 97,
  ReleaseTensorTypeAndShapeInfo: 99,
  ReleaseSessionOptions: 100,
  ReleaseAllocator: 132,
  ReleaseIoBinding: 135,
  ReleaseCUDAProviderOptions: 208,
} as const;

const GET_ERROR_CODE = 1;
const GET_ERROR_MESSAGE = 2;

type StatusFunctions = { readonly [name in keyof typeof STATUS_FUNCTIONS]: StatusFunction };
type ReleaseFunctions = { readonly [name in keyof typeof RELEASE_FUNCTIONS]: (object: Pointer) => void };

export interface Api extends StatusFunctions, ReleaseFunctions {
  readonly GetErrorCode: (status: Pointer) => number;
  readonly GetErrorMessage: (status: Pointer) => string;
  /** Handle of the library, held because koffi unloads the library when the handle is collected. */
  readonly library: LibraryHandle;
}

let loaded: Api | undefined;

/** The function table; the first call loads the library. */
export function api(): Api {
  loaded ??= readTable(loadLibrary());
  return loaded;
}

function readTable(library: LibraryHandle): Api {
  const table = findTable(library);
  const bind = (index: number, result: string, parameters: readonly Parameter[]): unknown =>
    koffi.decode(readPointer(table, index), koffi.proto(result, [...parameters]));
  const status = Object.entries<Row>(STATUS_FUNCTIONS).map(([name, [index, ...parameters]]) => [
    name,
    bind(index, POINTER, parameters),
  ]);
  const release = Object.entries(RELEASE_FUNCTIONS).map(([name, index]) => [
    name,
    bind(index, "void", [POINTER]),
  ]);
  return {
    ...(Object.fromEntries(status) as StatusFunctions),
    ...(Object.fromEntries(release) as ReleaseFunctions),
    GetErrorCode: bind(GET_ERROR_CODE, "int", [POINTER]) as Api["GetErrorCode"],
    GetErrorMessage: bind(GET_ERROR_MESSAGE, "str", [POINTER]) as Api["GetErrorMessage"],
    library,
  };
}

/** struct OrtApiBase is { GetApi, GetVersionString }; GetApi gives the table, an array of function pointers. */
function findTable(library: LibraryHandle): Pointer {
  const base: unknown = library.func("OrtGetApiBase", POINTER, [])();
  const getApi = koffi.proto(POINTER, ["uint32_t"]);
  const table: unknown = koffi.call(readPointer(base as Pointer, 0), getApi, API_VERSION);
  if (typeof table !== "bigint") {
    const version: unknown = koffi.call(readPointer(base as Pointer, 1), koffi.proto("str", []));
    throw new RuntimeError(
      "failed",
      `ONNX Runtime ${String(version)} is too old: version 1.28 or later is needed. Install the packages again with "npm ci".`,
    );
  }
  return table;
}

/** Element `index` of an array of pointers. */
export function readPointer(address: Pointer, index: number): Pointer {
  return koffi.decode(address, index * 8, POINTER) as Pointer;
}
