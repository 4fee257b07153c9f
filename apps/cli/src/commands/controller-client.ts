/** The two things that `llava serve` asks its controller. */
import { parseModelList } from "@llava/protocol";

const TIMEOUT_MS = 2_000;

/** The names that the controller's `/v1/models` has now; none while it cannot be asked. */
export async function listedModels(controllerUrl: string): Promise<readonly string[]> {
  try {
    const response = await fetch(`${controllerUrl}/v1/models`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return parseModelList(await response.json()).data.map((card) => card.id);
  } catch {
    return [];
  }
}

/**
 * Lets the controller ask every worker whether it is there, so that one that just died is gone from its list at once and
 * not after the heartbeats have expired. Failing changes nothing: then they expire.
 */
export async function forgetDeadWorkers(controllerUrl: string): Promise<void> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  await fetch(`${controllerUrl}/refresh_all_workers`, { method: "POST", signal }).then(
    (response) => response.arrayBuffer(),
    () => undefined,
  );
}
