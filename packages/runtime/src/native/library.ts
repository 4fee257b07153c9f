/** Finds and loads the ONNX Runtime library that the package onnxruntime-node contains. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import koffi, { type LibraryHandle } from "koffi";
import { RuntimeError } from "./runtime-error.ts";

/** Paths of the library below `bin/napi-v6` of onnxruntime-node 1.30.0. */
const FILES: Readonly<Record<string, string>> = {
  "linux-x64": "linux/x64/libonnxruntime.so.1",
  "linux-arm64": "linux/arm64/libonnxruntime.so.1",
  "darwin-arm64": "darwin/arm64/libonnxruntime.1.dylib",
  "win32-x64": "win32/x64/onnxruntime.dll",
};

/**
 * Stack sizes in bytes. ONNX Runtime's matrix kernels keep panels on the stack, and koffi runs each call on a stack
 * that it allocates: 2 MiB by default for a synchronous call and 128 KiB for an asynchronous one, which is too little.
 */
const SYNC_STACK_BYTES = 16 * 1024 * 1024;
const ASYNC_STACK_BYTES = 8 * 1024 * 1024;

/** The most calls that may wait or run at once. Each has a stack, and more of them is a mistake of the caller. */
export const MAX_ASYNC_CALLS = 256;

/** Absolute path of the library for a platform and an architecture as Node names them; throws `not_found`. */
export function libraryPath(platform: string = process.platform, arch: string = process.arch): string {
  const file = FILES[`${platform}-${arch}`];
  if (file === undefined) {
    throw new RuntimeError(
      "not_found",
      `ONNX Runtime is not available for ${platform} ${arch}: this program runs on Linux x64 and arm64, macOS arm64 and Windows x64.`,
    );
  }
  const folder = dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"));
  const path = join(folder, "bin", "napi-v6", ...file.split("/"));
  if (!existsSync(path)) {
    throw new RuntimeError(
      "not_found",
      `The ONNX Runtime library is missing: ${path} does not exist. Install the packages again with "npm ci".`,
    );
  }
  return path;
}

/** Loads the library. The caller keeps the handle: koffi unloads the library when the handle is collected. */
export function loadLibrary(): LibraryHandle {
  koffi.config({
    sync_stack_size: SYNC_STACK_BYTES,
    async_stack_size: ASYNC_STACK_BYTES,
    max_async_calls: MAX_ASYNC_CALLS,
  });
  const path = libraryPath();
  try {
    return koffi.load(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RuntimeError("not_found", `The ONNX Runtime library ${path} cannot be loaded: ${reason}`, {
      cause,
    });
  }
}
