/** Plans what `llava serve` starts: which programs with which arguments on which ports, and the block that it prints. */
import { basename } from "node:path";
import { LlavaError } from "@llava/protocol";
import type { ServeFlags } from "../../options/command-options.ts";
import { DEMO_MODEL } from "../../options/default-model.ts";
import { passedArguments } from "./passed-arguments.ts";
import type { WantedPort } from "./ports.ts";

export interface WorkerPlan {
  readonly folder: string;
  /** Name to serve the model under; absent, the worker derives it from the folder's. */
  readonly name?: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

export interface ServePlan {
  readonly host: string;
  readonly port: number;
  readonly controllerPort: number;
  readonly workers: readonly WorkerPlan[];
  readonly device: string;
  readonly drainTimeoutS: number;
  readonly isVerbose: boolean;
  /** Arguments that the programs get as they were given to `serve`. */
  readonly controllerFlags: readonly string[];
  readonly pageFlags: readonly string[];
  readonly workerFlags: readonly string[];
}

export interface Addresses {
  readonly pageUrl: string;
  readonly controllerUrl: string;
  readonly workerUrls: readonly string[];
}

/** Controller and workers listen on this machine only; `--host` is for the page. */
const LOOPBACK = "127.0.0.1";
/** The worker's own default, which the ready block names. */
const DEFAULT_DEVICE = "cpu";

export function planServe(flags: ServeFlags): ServePlan {
  const folders = flags.modelPath ?? [DEMO_MODEL];
  const names = namesFor(folders, flags.modelName);
  return {
    host: flags.host,
    port: flags.port,
    controllerPort: flags.controllerPort,
    workers: folders.map((folder, index) => ({
      folder,
      ...(names[index] === undefined ? {} : { name: names[index] }),
      port: flags.workerPort === 0 ? 0 : flags.workerPort + index,
    })),
    device: flags.device ?? DEFAULT_DEVICE,
    drainTimeoutS: flags.drainTimeout,
    isVerbose: flags.verbose,
    workerFlags: passedArguments(flags, "worker"),
    controllerFlags: passedArguments(flags, "controller"),
    pageFlags: passedArguments(flags, "web"),
  };
}

function namesFor(folders: readonly string[], names: readonly string[] = []): readonly string[] {
  if (names.length === 0 || names.length === folders.length) return names;
  throw new LlavaError(
    "invalid_request",
    `There are ${folders.length} models and ${names.length} names for them. Give --model-name once for each --model-path, in the same order.`,
  );
}

/** The name of a worker's model in messages. */
export function shownName({ folder, name = basename(folder) }: WorkerPlan): string {
  return name;
}

export function wantedPorts(plan: ServePlan): WantedPort[] {
  return [
    { purpose: "controller", host: LOOPBACK, port: plan.controllerPort, flag: "--controller-port" },
    ...plan.workers.map(({ port }) => ({ purpose: "worker", host: LOOPBACK, port, flag: "--worker-port" })),
    { purpose: "page", host: plan.host, port: plan.port, flag: "--port" },
  ];
}

/** Each program's command line. */
export const childFlags = {
  controller: (plan: ServePlan): string[] => [
    ...flagList({ "--host": LOOPBACK, "--port": plan.controllerPort }),
    ...plan.controllerFlags,
  ],
  web: (plan: ServePlan, controllerUrl: string): string[] => [
    ...flagList({ "--host": plan.host, "--port": plan.port, "--controller-url": controllerUrl }),
    ...plan.pageFlags,
  ],
  worker: (plan: ServePlan, worker: WorkerPlan, controllerUrl: string): string[] => [
    ...flagList({
      "--host": LOOPBACK,
      "--port": worker.port,
      "--controller-address": controllerUrl,
      "--model-path": worker.folder,
      "--model-name": worker.name,
      "--drain-timeout": plan.drainTimeoutS,
    }),
    ...plan.workerFlags,
  ],
};

/** The block that `serve` prints when all programs are ready. */
export function readyBlock(plan: ServePlan, { pageUrl, controllerUrl, workerUrls }: Addresses): string {
  const models = plan.workers.map(shownName).join(", ");
  return `
  LLaVA is ready: open ${pageUrl}

  Model       ${models} on ${plan.device}
  API         ${pageUrl}/v1 (OpenAI's)
  Controller  ${controllerUrl}
  Worker      ${workerUrls.join(", ")}

  Ctrl-C ends it.

`;
}

function flagList(flags: Readonly<Record<string, string | number | undefined>>): string[] {
  return Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)]));
}
