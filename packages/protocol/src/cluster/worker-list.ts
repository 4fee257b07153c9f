/** Describes and parses the answer of `GET /workers`, the controller's view of its workers. Null is unknown, never zero. */
import { z } from "zod";

import { LlavaError } from "../codec/errors.ts";

export type WorkerView = Readonly<z.infer<typeof workerSchema>>;
export type WorkerList = Readonly<z.infer<typeof listSchema>>;

const figure = z.number().nullable();

const workerSchema = z.object({
  /** The worker's URL, which is also its name. */
  address: z.string(),
  /** The worker's own name, the same for every process that is started as this worker. */
  worker_id: z.string().nullable(),
  /** The names of the models that it serves. */
  models: z.array(z.string()),
  /** Whether it takes new requests, which a worker that is draining does not. */
  state: z.enum(["ready", "draining"]),
  /** The circuit breaker: `open` means that it kept failing and gets no requests for a while, `half-open` that it is tried. */
  breaker: z.enum(["closed", "open", "half-open"]),
  /** LLaVA's weight of a worker beside others; the original's workers all report 1. */
  speed: z.number(),
  /** The queue that it last reported, and the requests given to it since. */
  queue_length: z.number(),
  /** The requests that this controller relays to it now. */
  in_flight: z.number(),
  /** The requests that run in it, by its last report. */
  running: figure,
  /** The requests that wait in it, by its last report. */
  waiting: figure,
  /** The most requests that it runs at once. */
  max_running: figure,
  /** The most requests that wait in it. */
  max_waiting: figure,
  /** The tokens a second of all its answers together, by its last report. */
  tokens_per_s: figure,
  /** The seconds since its process started. */
  uptime_s: figure,
  /** The seconds since its last heartbeat; null when it sends none and is kept until it fails. */
  heartbeat_age_s: figure,
  /** The version of this project that it runs. */
  version: z.string().nullable(),
});

const listSchema = z.object({
  object: z.literal("list"),
  controller: z.object({
    /** The version of this project that it runs. */
    version: z.string(),
    /** The seconds since its process started. */
    uptime_s: z.number(),
    /** The value of `--dispatch-method`, by which it chooses a worker. */
    dispatch_method: z.string(),
    /** The answers that it relays now. */
    streams: z.number(),
  }),
  data: z.array(workerSchema),
});

/** Throws `invalid_request` when the body is not from a controller of this project. */
export function parseWorkerList(body: unknown): WorkerList {
  const list = listSchema.safeParse(body);
  if (list.success) return list.data;
  throw new LlavaError("invalid_request", "What answered is not a controller of this version.", {
    cause: list.error,
  });
}
