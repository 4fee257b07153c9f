/** Makes the errors for a request that no worker can answer; they name the models that there are, and what to do. */
import { LlavaError } from "@llava/protocol";

const MAX_SHOWN_MODELS = 20;

/** @param models the names of the models that workers serve now */
export function noWorker(model: string, models: readonly string[]): LlavaError {
  const sentence =
    models.length === 0
      ? `No worker is there for the model ${named(model)}, nor for any other; start one, or wait until it has loaded.`
      : `No worker serves the model ${named(model)} now; there are: ${listOf(models)}.`;
  return new LlavaError("no_worker", sentence);
}

/** The answer to `GET /ready` when no model can be asked. */
export function noModels(): LlavaError {
  return new LlavaError(
    "no_worker",
    "No worker is there yet; start one, or wait until it has loaded its model.",
  );
}

export function workersLost(model: string, number: number): LlavaError {
  const workers = number === 1 ? "The only worker" : `All ${number} workers`;
  return new LlavaError(
    "worker_lost",
    `${workers} for the model ${named(model)} could not be reached; ask again.`,
  );
}

function named(model: string): string {
  return JSON.stringify(model.slice(0, 80));
}

function listOf(models: readonly string[]): string {
  const shown = models.slice(0, MAX_SHOWN_MODELS).join(", ");
  const numMore = models.length - MAX_SHOWN_MODELS;
  return numMore > 0 ? `${shown} and ${numMore} more` : shown;
}
