export { LOOPBACK_ONLY, openAccess, readSecretFile, type Access } from "./auth/access.ts";
export { newApiKey, parseKeyFile } from "./auth/api-keys.ts";
export { addBlobRoutes } from "./blob-routes.ts";
export { BlobStore, type BlobLimits } from "./blob-store.ts";
export { principalOf, isPeer } from "./auth/identity.ts";
export { addChallengeRoute, admitWorker, type Candidate } from "./auth/worker-challenge.ts";
export { type ClientLimits } from "./limits/rate-limit.ts";
export { signedHeaders } from "./auth/signed-requests.ts";
export { parseOptions } from "./options/add-options.ts";
export type { OptionsOf } from "./options/option-table.ts";
export { reloadKeysOnHangup, serverFlags, warnOfReaders } from "./options/server-flags.ts";
export { logTo } from "./observability/log-sink.ts";
export { shortAddress } from "./auth/hosts.ts";
export {
  addMetricsRoute,
  BUCKETS,
  createMetrics,
  type Metrics,
  type Sample,
} from "./observability/metrics.ts";
export { createAddressCheck } from "./auth/networks.ts";
export { routesOf, type NamedRoute, type Role } from "./auth/roles.ts";
export { createServer, type ServerOptions } from "./server.ts";
export { parseJson } from "./limits/parse-json.ts";
export { endOnUncaught, LAST_ANSWERS_MS } from "./uncaught.ts";
export { version } from "./version.ts";
