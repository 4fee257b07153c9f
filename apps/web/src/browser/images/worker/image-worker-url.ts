/** Gives the address of the image worker's script, by the only policy that the content policy's trusted types allow. */
// oxlint-disable-next-line import/default -- Vite makes the default export: the address of the bundled worker.
import file from "./image-worker.ts?worker&url";

/** Name of the policy in `trusted-types` of apps/web/src/server/security-headers.ts. */
const POLICY = "image-worker";

interface Policies {
  createPolicy(
    name: string,
    rules: { createScriptURL(url: string): string },
  ): { createScriptURL(url: string): string };
}

let address: string | null = null;

/** A trusted script URL where the browser knows trusted types, the address itself elsewhere. */
export function workerUrl(): string {
  if (address !== null) return address;
  const { trustedTypes } = globalThis as { trustedTypes?: Policies };
  const rules = { createScriptURL: () => file };
  return (address = trustedTypes?.createPolicy(POLICY, rules).createScriptURL(file) ?? file);
}
