/** `GET /workers`: the controller's view of its workers, for whoever shows them. Null is unknown, never zero. */
import { z } from "zod";

import { LlavaError } from "../codec/errors.ts";

export type WorkerView = Readonly<z.infer<typeof workerSchema>>;
export type WorkerList = Readonly<z.infer<typeof listSchema>>;

const figure = z.number().nullable();

const workerSchema = z.object({
  /** Its URL, which is also its name. */
  address: z.string(),
  worker_id: z.string().nullable(),
  models: z.array(z.string()),
  state: z.enum(["ready", "draining"]),
  /** `open`: it kept failing and is left alone for a while; `half-open`: it is tried again. */
  breaker: z.enum(["closed", "open", "half-open"]),
  speed: z.number(),
  /** What it last said, and what was given to it since. */
  queue_length: z.number(),
  /** Relayed to it now by this controller. */
  in_flight: z.number(),
  running: figure,
  waiting: figure,
  max_running: figure,
  max_waiting: figure,
  tokens_per_s: figure,
  uptime_s: figure,
  /** Null: it sends none and is kept until it fails. */
  heartbeat_age_s: figure,
  version: z.string().nullable(),
});

const listSchema = z.object({
  object: z.literal("list"),
  controller: z.object({
    version: z.string(),
    uptime_s: z.number(),
    dispatch_method: z.string(),
    streams: z.number(),
  }),
  data: z.array(workerSchema),
});

/** Throws `invalid_request` when it is not a controller of ours that answered. */
export function parseWorkerList(body: unknown): WorkerList {
  const list = listSchema.safeParse(body);
  if (list.success) return list.data;
  throw new LlavaError("invalid_request", "What answered is not a controller of this version.", {
    cause: list.error,
  });
}
