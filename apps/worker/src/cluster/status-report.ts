/** Makes the report of a worker for its controllers: its status, and what only they may read. */
import { hostname } from "node:os";
import { MAX_REPORTED_IMAGES, type WorkerStatus } from "@llava/protocol";
import type { WorkerService } from "../service/worker-service.ts";

const MAX_ID_LENGTH = 64;

/**
 * Lists the keys of the images that it holds, which `/worker_get_status` must not: a key is enough to ask about an image.
 * @param address the address under which controllers call this worker
 */
export function reportOf(service: WorkerService, address: string): WorkerStatus {
  return {
    ...service.status(),
    worker_id: workerId(address),
    image_keys: service.images.blobs.keys.slice(0, MAX_REPORTED_IMAGES),
  };
}

/** Machine and port, so that the id is the same after a restart and for every name of the address. */
export function workerId(address: string, machine = hostname()): string {
  const { port, protocol } = new URL(address);
  const suffix = `-${port === "" ? protocol.slice(0, -1) : port}`;
  return machine.replaceAll(/[^\w.-]/g, "-").slice(0, MAX_ID_LENGTH - suffix.length) + suffix;
}
