/**
 * What workers say about themselves to controllers, apart from the wire of answers: LLaVA's registration and heartbeat
 * with its fields, and beside them what only our workers say. A field that is absent is unknown, never zero.
 */
import { z } from "zod";

import { parseBody } from "../codec/parse-body.ts";
import { isImageKey } from "../codec/image-key.ts";

export const HEARTBEAT_INTERVAL_MS = 15_000;
export const HEARTBEAT_EXPIRY_MS = 30_000;

/** Requests in the worker, and how many it takes at most. */
export interface WorkerLoad {
  readonly running: number;
  readonly waiting: number;
  readonly max_running: number;
  readonly max_waiting: number;
}

/** `draining`: it finishes what runs and takes nothing new. */
export type WorkerState = "ready" | "draining";

/** What the original's workers do not say. */
export interface WorkerReport {
  /** The same for every process that is started as this worker. */
  readonly worker_id?: string;
  /** Of this process alone: with another one, what was known of the worker is void. */
  readonly incarnation?: string;
  /** Grows with every report of an incarnation, so that one that was overtaken can be told. */
  readonly seq?: number;
  readonly state?: WorkerState;
  readonly load?: WorkerLoad;
  /** Of the images that it remembers, the one used last first. */
  readonly image_keys?: readonly string[];
  readonly version?: string;
  /** Seconds since its process started. */
  readonly uptime_s?: number;
  /** Of all its answers together, lately. */
  readonly tokens_per_s?: number;
  readonly capabilities?: WorkerCapabilities;
}

/** By name, whether it can do it: `resume` another worker's answer, take images as `blobs`. */
export type WorkerCapabilities = Readonly<Record<string, boolean>>;

export interface WorkerStatus extends WorkerReport {
  readonly model_names: readonly string[];
  readonly speed: number;
  /** Running and waiting. */
  readonly queue_length: number;
}

export interface RegisterWorker {
  readonly worker_name: string;
  readonly check_heart_beat: boolean;
  readonly worker_status: WorkerStatus | null;
}

export interface HeartBeat extends WorkerReport {
  readonly worker_name: string;
  readonly queue_length: number;
}

export interface DeregisterWorker {
  readonly worker_name: string;
  readonly incarnation: string;
}

export const MAX_REPORTED_IMAGES = 256;
const MAX_NAME_LENGTH = 256;
const MAX_WORKER_MODELS = 64;
const MAX_CAPABILITIES = 32;
/** Stock workers say 1. A controller that is another one's worker says the sum of its own, of which there are up to 1024. */
const SPEEDS = { least: 0.01, most: 1024 } as const;
const MAX_COUNT = 1_000_000;
const MAX_AMOUNT = 1e9;

const workerName = z.string("a URL such as http://127.0.0.1:40000").refine(isWorkerAddress, {
  error: "a URL such as http://127.0.0.1:40000, of http or https and without a user name or a query",
});
const modelName = z
  .string("a model's name")
  .refine(
    isModelName,
    "a model's name: letters, digits, spaces and ._:@+~#=,()[]/\\-, at most 256 characters",
  );
const queueLength = z
  .number("a number from 0")
  .min(0, "a number from 0")
  .max(MAX_COUNT, "a number up to 1e6");
const count = z
  .int("a whole number from 0")
  .min(0, "a whole number from 0")
  .max(MAX_COUNT, "a whole number up to 1e6");
const amount = z.number("a number from 0").min(0, "a number from 0").max(MAX_AMOUNT, "a number up to 1e9");
const word = z
  .string("a text")
  .regex(/^[\w.:+-]{1,64}$/, "a text of letters, digits and _.:+-, at most 64 characters");
const speed = z.number("a number").refine((value) => value === 0 || isSpeed(value), {
  error: `a number from ${SPEEDS.least} to ${SPEEDS.most}`,
});

const report = {
  worker_id: word.exactOptional(),
  incarnation: word.exactOptional(),
  seq: z.int("a whole number from 0").min(0, "a whole number from 0").exactOptional(),
  state: z.enum(["ready", "draining"], "ready or draining").exactOptional(),
  load: z
    .object({ running: count, waiting: count, max_running: count, max_waiting: count }, "an object")
    .exactOptional(),
  image_keys: z
    .array(
      z.string("an image's key").refine(isImageKey, "an image's key: sha256: and 64 hex digits"),
      "a list of images' keys",
    )
    .max(MAX_REPORTED_IMAGES, `a list of at most ${MAX_REPORTED_IMAGES} keys`)
    .exactOptional(),
  version: word.exactOptional(),
  uptime_s: amount.exactOptional(),
  tokens_per_s: amount.exactOptional(),
  capabilities: z
    .record(word, z.boolean("true or false"), "an object of true and false")
    .refine(
      (fields) => Object.keys(fields).length <= MAX_CAPABILITIES,
      `an object of at most ${MAX_CAPABILITIES} fields`,
    )
    .exactOptional(),
};
const workerStatus = z
  .object({
    model_names: z
      .array(modelName, "a list of names")
      .max(MAX_WORKER_MODELS, `a list of at most ${MAX_WORKER_MODELS} names`)
      .transform((names): readonly string[] => [...new Set(names)]),
    speed,
    queue_length: queueLength,
    ...report,
  })
  // A controller without workers is another one's worker of no models and no speed; with models no speed is a lie.
  .refine(({ model_names, speed }) => speed > 0 || model_names.length === 0, {
    error: `a number from ${SPEEDS.least} to ${SPEEDS.most}`,
    path: ["speed"],
  });
const registerWorker = z.object({
  worker_name: workerName,
  check_heart_beat: z.boolean("true or false"),
  worker_status: workerStatus.nullish().transform((status) => status ?? null),
});
const heartBeat = z.object({ worker_name: workerName, queue_length: queueLength, ...report });
const deregisterWorker = z.object({ worker_name: workerName, incarnation: word });

export function parseRegisterWorker(body: unknown): RegisterWorker {
  return parseBody(registerWorker, body);
}

export function parseHeartBeat(body: unknown): HeartBeat {
  return parseBody(heartBeat, body);
}

export function parseDeregisterWorker(body: unknown): DeregisterWorker {
  return parseBody(deregisterWorker, body);
}

export function parseWorkerStatus(body: unknown): WorkerStatus {
  return parseBody(workerStatus, body);
}

/** An address that a worker may register under: http or https, a host, nothing that smuggles more than a prefix. */
export function isWorkerAddress(text: string): boolean {
  if (text.length > 512 || !URL.canParse(text)) return false;
  const url = new URL(text);
  const isHttp = url.protocol === "http:" || url.protocol === "https:";
  return isHttp && url.hostname !== "" && url.username === "" && url.password === "" && !/[?#\s]/.test(text);
}

/**
 * Whether a name can be shown and logged anywhere as it stands. The original takes any text; these are the characters of
 * real names, of hubs (`owner/model`), tags (`llava:7b`) and paths, in any script.
 */
export function isModelName(text: string): boolean {
  return (
    text.length <= MAX_NAME_LENGTH &&
    /^[\p{L}\p{M}\p{N} ._:@+~#=,()[\]/\\-]+$/u.test(text) &&
    text.trim() === text
  );
}

function isSpeed(value: number): boolean {
  return value >= SPEEDS.least && value <= SPEEDS.most;
}
