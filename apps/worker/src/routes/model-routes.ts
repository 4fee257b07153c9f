/** `GET /v1/models` and one by one: what this worker's model takes and can do. */
import type { BackendCapabilities, BackendCard } from "@llava/backend";
import {
  CHAT_LIMITS,
  createModelCard,
  LlavaError,
  modelListBody,
  SAMPLING_LIMITS,
  type ModelCapabilities,
  type ModelCard,
} from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import type { WorkerService } from "../service/worker-service.ts";

/** What holds of every backend; `false` is refused by the name of its field, except image_detail. */
const COMMON_CAPABILITIES: ModelCapabilities = {
  streaming: true,
  // `detail` of an image is read and changes nothing: these models see every image in one size.
  image_detail: false,
  tools: false,
  prompt_cache: false,
};

export function addModelRoutes(app: FastifyInstance, service: WorkerService): void {
  const options = { config: { role: "user" } } as const;
  app.get("/v1/models", options, () => modelListBody([cardOf(service)]));
  // Names may hold slashes.
  app.get<{ Params: { "*": string } }>("/v1/models/*", options, ({ params }) => {
    if (params["*"] === service.modelName) return cardOf(service);
    throw new LlavaError(
      "model_not_found",
      `This worker serves ${service.modelName}, not ${params["*"].slice(0, 256)}. See GET /v1/models.`,
      { param: "model" },
    );
  });
}

function cardOf({ backend, modelName, startedS }: WorkerService): ModelCard {
  const { card, capabilities } = backend;
  const { resume: _betweenWorkers, ...askable } = capabilities;
  return createModelCard(modelName, startedS, {
    context_length: card.contextLength,
    ...knownFacts(card),
    input_modalities: capabilities.vision ? ["text", "image"] : ["text"],
    output_modalities: ["text"],
    limits: {
      messages: CHAT_LIMITS.messages,
      parts: CHAT_LIMITS.parts,
      images: maxImages(capabilities),
      text_bytes: CHAT_LIMITS.textBytes,
      stop_strings: SAMPLING_LIMITS.stops,
      answers: SAMPLING_LIMITS.choices,
      top_logprobs: SAMPLING_LIMITS.topLogprobs,
    },
    capabilities: { ...COMMON_CAPABILITIES, ...askable },
    card: card.card,
  });
}

function maxImages({ vision, several_images }: BackendCapabilities): number {
  if (!vision) return 0;
  return several_images ? CHAT_LIMITS.images : 1;
}

/** The fields whose values the backend knows. */
function knownFacts({
  tokensPerImage,
  imageSize,
  imageShape,
  conversation,
  conversations,
}: BackendCard): Partial<ModelCard> {
  return {
    ...(tokensPerImage === undefined ? {} : { tokens_per_image: tokensPerImage }),
    ...(imageSize === undefined ? {} : { image_size: imageSize }),
    ...(imageShape === undefined ? {} : { image_aspect_ratio: imageShape }),
    ...(conversation === undefined ? {} : { conversation }),
    ...(conversations === undefined ? {} : { conversation_templates: conversations }),
  };
}
