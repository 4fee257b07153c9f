/** The one script that the page may begin as a worker: the only policy that the content policy's trusted types let be made. */
// oxlint-disable-next-line import/default -- Vite gives it one: the address of the bundled worker.
import file from "./image-worker.ts?worker&url";

/** The name in `trusted-types` of apps/web/src/server/security-headers.ts. */
const POLICY = "image-worker";

interface Policies {
  createPolicy(
    name: string,
    rules: { createScriptURL(url: string): string },
  ): { createScriptURL(url: string): string };
}

let address: string | null = null;

/** Where browsers know trusted types, one of them; the address itself elsewhere. */
export function workerUrl(): string {
  if (address !== null) return address;
  const { trustedTypes } = globalThis as { trustedTypes?: Policies };
  const rules = { createScriptURL: () => file };
  return (address = trustedTypes?.createPolicy(POLICY, rules).createScriptURL(file) ?? file);
}
