/** Refuses what a backend cannot do by the name of the request's field, before the request waits for the backend. */
import type { BackendCapabilities, BackendRequest } from "@llava/backend";
import { LlavaError, RESUME_FIELD } from "@llava/protocol";

interface Demand {
  readonly capability: keyof BackendCapabilities;
  /** Name of the field that asks for it, as OpenAI's API or ours calls it. */
  readonly field: string;
  /** What the backend lacks, as the object of "has no". */
  readonly lacks: string;
  readonly isAsked: (request: BackendRequest) => boolean;
}

const DEMANDS: readonly Demand[] = [
  {
    capability: "vision",
    field: "messages",
    lacks: "vision",
    isAsked: ({ images }) => images.length > 0,
  },
  {
    capability: "several_images",
    field: "messages",
    lacks: "room for more than one image in a request",
    isAsked: ({ images }) => images.length > 1,
  },
  {
    capability: "image_modes",
    field: "mode",
    lacks: "choice of how an image becomes a square",
    isAsked: ({ shapes = [] }) => shapes.some((shape) => shape !== undefined),
  },
  {
    capability: "text_completion",
    field: "prompt",
    lacks: "completion of plain texts",
    isAsked: ({ prompt }) => typeof prompt === "object" && "text" in prompt,
  },
  {
    capability: "system_message",
    field: "messages",
    lacks: "place for a system message",
    isAsked: ({ prompt }) =>
      typeof prompt === "object" && !("text" in prompt) && prompt.some(({ role }) => role === "system"),
  },
  {
    capability: "continue_final_message",
    field: "continue_final_message",
    lacks: "way to continue a message of the assistant",
    isAsked: ({ isUnfinished = false }) => isUnfinished,
  },
  {
    capability: "conversation_template",
    field: "conversation_template",
    lacks: "template beside its own",
    isAsked: ({ conversation }) => conversation !== undefined,
  },
  {
    capability: "penalties",
    field: "repetition_penalty",
    lacks: "repetition penalty",
    isAsked: ({ repetitionPenalty = 1 }) => repetitionPenalty !== 1,
  },
  {
    capability: "penalties",
    field: "presence_penalty",
    lacks: "presence penalty",
    isAsked: ({ presencePenalty = 0 }) => presencePenalty !== 0,
  },
  {
    capability: "penalties",
    field: "frequency_penalty",
    lacks: "frequency penalty",
    isAsked: ({ frequencyPenalty = 0 }) => frequencyPenalty !== 0,
  },
  {
    capability: "logprobs",
    field: "logprobs",
    lacks: "log probabilities",
    isAsked: ({ logprobs }) => logprobs !== undefined,
  },
  {
    capability: "several_choices",
    field: "n",
    lacks: "way to answer a request more than once",
    isAsked: ({ choices = 1 }) => choices > 1,
  },
  {
    capability: "json_mode",
    field: "response_format",
    lacks: "JSON mode",
    isAsked: ({ grammar }) => grammar !== undefined,
  },
  {
    capability: "resume",
    field: RESUME_FIELD,
    lacks: "way to continue the answer of another worker",
    isAsked: ({ resume }) => resume !== undefined,
  },
];

/** @throws LlavaError `invalid_request` with the field of the first capability that is missing */
export function requireCapabilities(capabilities: BackendCapabilities, request: BackendRequest): void {
  const missing = DEMANDS.find(({ capability, isAsked }) => !capabilities[capability] && isAsked(request));
  if (missing === undefined) return;
  throw lacking(missing.field, missing.lacks);
}

/** The error of a capability that a backend lacks. */
export function lacking(field: string, lacks: string): LlavaError {
  return new LlavaError(
    "invalid_request",
    `The field ${field} asks for what this worker cannot do: its backend has no ${lacks}. ` +
      "Leave it out, or ask another worker; GET /v1/models lists what each can do.",
    { param: field },
  );
}
