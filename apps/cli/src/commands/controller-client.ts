/** Sends the two requests that `llava serve` has for its controller. */
import { parseModelList } from "@llava/protocol";

const TIMEOUT_MS = 2_000;

/** The names that the controller's `/v1/models` lists; none while it does not answer. */
export async function listedModels(controllerUrl: string): Promise<readonly string[]> {
  try {
    const response = await fetch(`${controllerUrl}/v1/models`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return parseModelList(await response.json()).data.map((card) => card.id);
  } catch {
    return [];
  }
}

/**
 * Makes the controller check every worker, so that one that just died is removed from its list at once and not after
 * its heartbeats have expired. A failure changes nothing: then they expire.
 */
export async function forgetDeadWorkers(controllerUrl: string): Promise<void> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  await fetch(`${controllerUrl}/refresh_all_workers`, { method: "POST", signal }).then(
    (response) => response.arrayBuffer(),
    () => undefined,
  );
}
