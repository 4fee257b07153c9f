/** Makes the one OrtEnv of the process and finds the default number of threads of a session. */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { api, type Pointer } from "./function-table.ts";
import { create } from "./call.ts";

/** ORT_LOGGING_LEVEL_FATAL, because every failure comes back as a status and a log line would repeat it. */
export const LOG_SEVERITY = 4;

let environment: Pointer | undefined;

/** The environment, made before anything else of ONNX Runtime (providers need its logger) and never released. */
export function ortEnvironment(): Pointer {
  environment ??= create(api().CreateEnv, LOG_SEVERITY, "llava");
  return environment;
}

/** The number of physical cores that this process may use: two threads on one core gain nothing in dense arithmetic. */
export function defaultThreads(): number {
  const logical = availableParallelism();
  if (logical <= 2) return logical;
  return Math.max(2, Math.floor(logical / threadsPerCore()));
}

/** Linux lists the threads of a core; Apple's arm64 has one thread a core; two is usual for x64 elsewhere. */
function threadsPerCore(): number {
  if (process.arch === "arm64") return 1;
  if (process.platform !== "linux") return 2;
  try {
    const list = readFileSync("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "utf8");
    return countCpuList(list);
  } catch {
    return 1;
  }
}

/** Counts the CPUs in a list as the Linux kernel writes it: "0-1" and "0,32" have 2. */
export function countCpuList(list: string): number {
  const ranges = list
    .trim()
    .split(",")
    .map((range) => range.split("-").map(Number));
  return ranges.reduce((sum, [first = 0, last = first]) => sum + last - first + 1, 0);
}
