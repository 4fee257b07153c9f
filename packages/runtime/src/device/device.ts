/** Lists the devices that a session can run on, with their names, execution providers and memory. */
import { api, type Pointer } from "../native/function-table.ts";
import { call, create } from "../native/call.ts";
import { libraryPath } from "../native/library.ts";
import { RuntimeError } from "../native/runtime-error.ts";

export type Device =
  | { readonly type: "cpu" }
  | { readonly type: "cuda"; readonly id: number }
  | { readonly type: "webgpu" };

export const CPU: Device = { type: "cpu" };

/** C enums OrtAllocatorType and OrtMemType. */
const DEVICE_ALLOCATOR = 0;
const DEFAULT_MEMORY = 0;

/** Reads "cpu", "cuda", "cuda:1" or "webgpu"; throws `invalid_argument` for anything else. */
export function parseDevice(text: string): Device {
  if (text === "cpu" || text === "webgpu") return { type: text };
  const cuda = /^cuda(?::(\d{1,3}))?$/.exec(text);
  if (cuda !== null) return { type: "cuda", id: Number(cuda[1] ?? 0) };
  throw new RuntimeError(
    "invalid_argument",
    `"${text}" is not a device: use "cpu", "cuda", "cuda:1" (the number of the GPU) or "webgpu".`,
  );
}

export function deviceName(device: Device): string {
  return device.type === "cuda" ? `cuda:${device.id}` : device.type;
}

/** Adds the device's execution provider to session options; throws `no_provider` where it cannot be used. */
export function appendProvider(options: Pointer, device: Device): void {
  try {
    if (device.type === "cuda") appendCuda(options, device.id);
    if (device.type === "webgpu") {
      call(api().SessionOptionsAppendExecutionProvider, options, "WebGPU", [], [], 0);
    }
  } catch (cause) {
    throw noProvider(device, cause);
  }
}

function appendCuda(options: Pointer, id: number): void {
  const cuda = create(api().CreateCUDAProviderOptions);
  try {
    call(api().UpdateCUDAProviderOptions, cuda, ["device_id"], [String(id)], 1);
    call(api().SessionOptionsAppendExecutionProvider_CUDA_V2, options, cuda);
  } finally {
    api().ReleaseCUDAProviderOptions(cuda);
  }
}

export function noProvider(device: Device, cause: unknown): RuntimeError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new RuntimeError(
    "no_provider",
    `The device ${deviceName(device)} cannot be used here. ${howToGet(device)} (${reason})`,
    { cause },
  );
}

function howToGet(device: Device): string {
  if (device.type === "cpu") return 'Install the packages again with "npm ci".';
  if (device.type === "webgpu") {
    return "WebGPU needs a graphics driver: Vulkan on Linux, Metal on macOS, Direct3D 12 on Windows.";
  }
  const [system, prefix, suffix] =
    process.platform === "win32" ? ["Windows", "", "dll"] : ["Linux", "lib", "so"];
  const files = ["cuda", "shared"].map((part) => `${prefix}onnxruntime_providers_${part}.${suffix}`);
  return (
    `Take ${files.join(" and ")} from the NuGet package Microsoft.ML.OnnxRuntime.Gpu.${system} 1.30.0 and put them ` +
    `beside ${libraryPath()}; an NVIDIA driver, CUDA 12 and cuDNN 9 must be installed.`
  );
}

const memoryInfos = new Map<string, Pointer>();

/** The OrtMemoryInfo of a device's own memory, made once per device and never released. */
export function memoryInfo(device: Device): Pointer {
  const name = deviceName(device);
  const info = memoryInfos.get(name) ?? createMemoryInfo(device);
  memoryInfos.set(name, info);
  return info;
}

function createMemoryInfo(device: Device): Pointer {
  if (device.type === "cpu") return create(api().CreateCpuMemoryInfo, DEVICE_ALLOCATOR, DEFAULT_MEMORY);
  const [name, id] = device.type === "cuda" ? ["Cuda", device.id] : ["WebGPU_Buf", 0];
  return create(api().CreateMemoryInfo, name, DEVICE_ALLOCATOR, id, DEFAULT_MEMORY);
}
