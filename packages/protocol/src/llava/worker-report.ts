/**
 * Parses what workers report to controllers: LLaVA's registration, heartbeat and status (haotian-liu/LLaVA,
 * `llava/serve/controller.py` and `model_worker.py`), and beside their fields those that only our workers send. A field that
 * is absent is unknown, never zero.
 */
import { z } from "zod";

import { parseBody } from "../codec/parse-body.ts";
import { isImageKey } from "../codec/image-key.ts";

/** How often workers send heartbeats (`WORKER_HEART_BEAT_INTERVAL` in `llava/constants.py`). */
export const HEARTBEAT_INTERVAL_MS = 15_000;
/** The silence after which a worker counts as dead (`CONTROLLER_HEART_BEAT_EXPIRATION` in `llava/constants.py`). */
export const HEARTBEAT_EXPIRY_MS = 30_000;

/** The requests in a worker, each number at most 1,000,000. */
export interface WorkerLoad {
  /** The requests that run. */
  readonly running: number;
  /** The requests that wait. */
  readonly waiting: number;
  /** The most requests that run at once. */
  readonly max_running: number;
  /** The most requests that wait. */
  readonly max_waiting: number;
}

/** Whether a worker takes new requests: one that is `draining` only finishes those that it has. */
export type WorkerState = "ready" | "draining";

/** The fields that the original's workers do not send. */
export interface WorkerReport {
  /** A name that is the same for every process that is started as this worker: letters, digits and `_.:+-`, at most 64. */
  readonly worker_id?: string;
  /** A name of this process alone; what was known about an earlier process does not apply to it. As long as `worker_id`. */
  readonly incarnation?: string;
  /** A number that grows with every report of an incarnation, so that one that arrives late is recognised. */
  readonly seq?: number;
  readonly state?: WorkerState;
  readonly load?: WorkerLoad;
  /** The keys of the images that it has cached, at most `MAX_REPORTED_IMAGES`; the one used last is the first. */
  readonly image_keys?: readonly string[];
  /** The version of this project that it runs. */
  readonly version?: string;
  /** The seconds since its process started. */
  readonly uptime_s?: number;
  /** The tokens a second of all its answers together, lately. */
  readonly tokens_per_s?: number;
  readonly capabilities?: WorkerCapabilities;
}

/** Whether a worker can do it, by name: `resume` an answer of another worker, take images as `blobs`. At most 32 names. */
export type WorkerCapabilities = Readonly<Record<string, boolean>>;

/** The answer of `POST /worker_get_status` (`get_status` in `llava/serve/model_worker.py`). */
export interface WorkerStatus extends WorkerReport {
  /** The names of the models that it serves, at most 64. */
  readonly model_names: readonly string[];
  /** A weight beside other workers, from 0.01 to 1024; the original's workers send 1. 0 only without models. */
  readonly speed: number;
  /** The requests that run and wait. */
  readonly queue_length: number;
}

/** The body of `POST /register_worker`. */
export interface RegisterWorker {
  /** The worker's URL, at most 512 characters. */
  readonly worker_name: string;
  /** Whether the worker sends heartbeats. */
  readonly check_heart_beat: boolean;
  /** The worker's status; it is asked for it when null. */
  readonly worker_status: WorkerStatus | null;
}

/** The body of `POST /receive_heart_beat`. */
export interface HeartBeat extends WorkerReport {
  /** The worker's URL. */
  readonly worker_name: string;
  /** The requests that run and wait. */
  readonly queue_length: number;
}

/** The body of `POST /deregister_worker`, which the original does not have. */
export interface DeregisterWorker {
  /** The worker's URL. */
  readonly worker_name: string;
  readonly incarnation: string;
}

/** The most keys in `image_keys`. */
export const MAX_REPORTED_IMAGES = 256;
const MAX_NAME_LENGTH = 256;
const MAX_WORKER_MODELS = 64;
const MAX_CAPABILITIES = 32;
/** The speeds that are taken. A controller that is the worker of another one sends the sum of its own workers, up to 1024. */
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
  // A controller without workers, as the worker of another one, has no models and no speed; a worker with models has one.
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

/** Whether a worker may register under this address: http or https, a host, and no user name, query or fragment. */
export function isWorkerAddress(text: string): boolean {
  if (text.length > 512 || !URL.canParse(text)) return false;
  const url = new URL(text);
  const isHttp = url.protocol === "http:" || url.protocol === "https:";
  return isHttp && url.hostname !== "" && url.username === "" && url.password === "" && !/[?#\s]/.test(text);
}

/**
 * Whether a model's name can be shown and logged anywhere unchanged. The original takes any text; these are the characters
 * of names in use: those of hubs (`owner/model`), with tags (`llava:7b`) and of paths, in any script.
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
