/** Options of a session, and the native object that holds them. */
import { api, type Pointer } from "../native/function-table.ts";
import { call, create } from "../native/call.ts";
import { appendProvider, CPU, type Device } from "../device/device.ts";
import { defaultThreads, LOG_SEVERITY } from "../native/environment.ts";
import { RuntimeError } from "../native/runtime-error.ts";

export interface SessionOptions {
  /** Device that the model runs on; the CPU when left out. */
  readonly device?: Device;
  /** Threads of one operator on the CPU; as many as physical cores when left out. */
  readonly threads?: number;
  /** Folder of the files that the external initializers of a model given as bytes name. */
  readonly externalDataFolder?: string;
  /** Level of graph optimization; "all" when left out. */
  readonly optimization?: "none" | "basic" | "extended" | "all";
  /** Entries of onnxruntime_session_options_config_keys.h, which take precedence over those set here. */
  readonly config?: Readonly<Record<string, string>>;
}

/** C enum GraphOptimizationLevel. */
const OPTIMIZATION = { none: 0, basic: 1, extended: 2, all: 99 } as const;

/**
 * Time that an idle thread of the pool spins before it sleeps, in microseconds. ONNX Runtime's default uses 40 % of a core
 * between the small runs of a decoder. A millisecond bridges the gap between two steps of a decoder and ends soon after
 * the last one: compared with 50 µs, 8 streams of a 1.1B model decode 13 % faster, one stream as fast, and an idle worker
 * uses as little (measured in turns, ONNX Runtime 1.30.0, 2 threads).
 */
const SPIN_MICROSECONDS = "1000";

/** Native options, to be released by the caller with ReleaseSessionOptions. */
export function createSessionOptions(options: SessionOptions): Pointer {
  const pointer = create(api().CreateSessionOptions);
  try {
    call(api().SetSessionLogSeverityLevel, pointer, LOG_SEVERITY);
    call(api().SetIntraOpNumThreads, pointer, threadCount(options.threads));
    call(api().SetSessionGraphOptimizationLevel, pointer, OPTIMIZATION[options.optimization ?? "all"]);
    for (const [key, value] of Object.entries(configEntries(options))) {
      call(api().AddSessionConfigEntry, pointer, key, value);
    }
    appendProvider(pointer, options.device ?? CPU);
    return pointer;
  } catch (error) {
    api().ReleaseSessionOptions(pointer);
    throw error;
  }
}

function configEntries(options: SessionOptions): Record<string, string> {
  const folder = options.externalDataFolder;
  return {
    "session.intra_op.spin_duration_us": SPIN_MICROSECONDS,
    ...(folder === undefined ? {} : { "session.model_external_initializers_file_folder_path": folder }),
    ...options.config,
  };
}

function threadCount(threads: number | undefined): number {
  if (threads === undefined) return defaultThreads();
  if (Number.isInteger(threads) && threads >= 1 && threads <= 1024) return threads;
  throw new RuntimeError(
    "invalid_argument",
    `threads is ${threads}: it must be a whole number from 1 to 1024.`,
  );
}
