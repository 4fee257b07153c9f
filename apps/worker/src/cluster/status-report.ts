/** What a worker tells its controllers, apart from what it tells everybody who asks for its status. */
import { hostname } from "node:os";
import { MAX_REPORTED_IMAGES, type WorkerStatus } from "@llava/protocol";
import type { Service } from "../service/worker-service.ts";

const MAX_ID_LENGTH = 64;

/**
 * Names the images that it holds, which `/worker_get_status` must not: who knows an image's key can ask about it.
 * @param address under which controllers call this worker
 */
export function reportOf(service: Service, address: string): WorkerStatus {
  return {
    ...service.status(),
    worker_id: workerId(address),
    image_keys: service.images.blobs.keys.slice(0, MAX_REPORTED_IMAGES),
  };
}

/** Machine and port: the same after a restart, whatever name the address has. */
export function workerId(address: string, machine = hostname()): string {
  const { port, protocol } = new URL(address);
  const suffix = `-${port === "" ? protocol.slice(0, -1) : port}`;
  return machine.replaceAll(/[^\w.-]/g, "-").slice(0, MAX_ID_LENGTH - suffix.length) + suffix;
}
