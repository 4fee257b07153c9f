/** Turns what is thrown below the engine into the LlavaErrors that its callers expect, for loading and for answering. */
import { ServingError } from "@llava/models";
import { LlavaError, toLlavaError } from "@llava/protocol";
import { RuntimeError } from "@llava/runtime";

/** The error that ends a request. When its signal was aborted, that is the reason, whatever failed because of it. */
export function requestError(error: unknown, signal: AbortSignal): LlavaError {
  if (signal.aborted) return signal.reason instanceof LlavaError ? signal.reason : cancelled(error);
  if (!(error instanceof RuntimeError)) return toLlavaError(error);
  if (error.code === "out_of_memory") {
    return new LlavaError(
      "out_of_memory",
      `There is not enough memory for this request: ${error.message} Ask for a shorter answer (max_tokens) or start a new conversation.`,
      { cause: error },
    );
  }
  return new LlavaError("runtime_failure", `The model could not be run on this request: ${error.message}`, {
    cause: error,
  });
}

export function cancelled(cause?: unknown): LlavaError {
  return new LlavaError("cancelled", "The request was cancelled.", cause === undefined ? {} : { cause });
}

export function shuttingDown(): LlavaError {
  return new LlavaError("shutting_down", "The engine is shutting down; ask again in a moment.");
}

/** The error of a model that could not be loaded. The runtime's own sentences stay: they say how to get a missing device. */
export function loadError(error: unknown, folder: string): LlavaError {
  if (error instanceof LlavaError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof RuntimeError && error.code === "no_provider") {
    return new LlavaError("runtime_failure", reason, { cause: error });
  }
  const sentence = `The model in ${folder} cannot be served: ${reason}`;
  return new LlavaError(loadErrorCode(error), sentence, { cause: error });
}

function loadErrorCode(
  error: unknown,
): "unsupported_model" | "invalid_checkpoint" | "out_of_memory" | "runtime_failure" {
  if (error instanceof ServingError)
    return error.kind === "unsupported" ? "unsupported_model" : "invalid_checkpoint";
  if (error instanceof RuntimeError)
    return error.code === "out_of_memory" ? "out_of_memory" : "runtime_failure";
  return "invalid_checkpoint";
}
