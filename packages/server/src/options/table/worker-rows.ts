/** Declares the worker's own options, those of fetching images among them. */
import { HEARTBEAT_INTERVAL_MS } from "@llava/protocol";
import type { OptionRows } from "./option-row.ts";
import { network, seconds, text, whole } from "./value-readers.ts";

/** LLaVA's `model_worker.py` has these flags; here they change nothing, so that old start scripts keep working. */
const WITHOUT_EFFECT = "taken for LLaVA's start scripts; changes nothing";

export const WORKER_ROWS = {
  limitModelConcurrency: {
    flags: "--limit-model-concurrency <number>",
    help: "requests that run at the same time on a worker",
    reader: whole(1, 1024),
    programs: { worker: { default: 5 }, serve: { passedTo: ["worker"] } },
  },
  heartbeatInterval: {
    flags: "--heartbeat-interval <seconds>",
    help: "time between reports to the controller",
    reader: seconds,
    programs: {
      worker: { default: HEARTBEAT_INTERVAL_MS / 1000 },
      serve: { passedTo: ["worker"], isHidden: true },
    },
  },
  kvCacheMib: {
    flags: "--kv-cache-mib <number>",
    help: "most memory for keys and values, of running and remembered requests (default: a quarter of what is free)",
    reader: whole(1, 2 ** 24),
    programs: { worker: {}, serve: { passedTo: ["worker"] } },
  },
  imageProcesses: {
    flags: "--image-processes <number>",
    help: "processes of a worker that decode images",
    reader: whole(1, 64),
    programs: { worker: { default: 2 }, serve: { passedTo: ["worker"] } },
  },
  allowImageUrls: {
    flags: "--allow-image-urls",
    help: "fetch images by their https addresses, of public hosts only",
    programs: { worker: {}, serve: { passedTo: ["worker"] } },
  },
  allowHttpImageUrls: {
    flags: "--allow-http-image-urls",
    help: "fetch images by http addresses, too",
    programs: { worker: {}, serve: { passedTo: ["worker"] } },
  },
  allowedImageDomain: {
    flags: "--allowed-image-domain <name>",
    help: "fetch from this host only, *.example.com for all below; repeat for several",
    reader: text,
    several: {},
    programs: { worker: {}, serve: { passedTo: ["worker"] } },
  },
  allowedImagePort: {
    flags: "--allowed-image-port <number>",
    help: "fetch from this port too, beside 443 (and 80 of http); repeat for several",
    reader: whole(1, 65_535),
    several: {},
    programs: { worker: {}, serve: { passedTo: ["worker"] } },
  },
  deniedImageNetwork: {
    flags: "--denied-image-network <network>",
    help: "fetch nothing from these addresses, such as 203.0.113.0/24; repeat for several",
    reader: network,
    several: {},
    programs: { worker: {}, serve: { passedTo: ["worker"] } },
  },
  imageUrlRedirects: {
    flags: "--image-url-redirects <number>",
    help: "redirects that are followed, each under the same rules",
    reader: whole(0, 3),
    programs: { worker: { default: 0 }, serve: { passedTo: ["worker"] } },
  },
  multiModal: {
    flags: "--multi-modal",
    help: WITHOUT_EFFECT,
    programs: { worker: { isHidden: true } },
  },
  useFlashAttn: {
    flags: "--use-flash-attn",
    help: WITHOUT_EFFECT,
    programs: { worker: { isHidden: true } },
  },
  streamInterval: {
    flags: "--stream-interval <tokens>",
    help: WITHOUT_EFFECT,
    reader: text,
    programs: { worker: { isHidden: true } },
  },
} as const satisfies OptionRows;
