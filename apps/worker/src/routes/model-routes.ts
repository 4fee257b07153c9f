/** `GET /v1/models` and one by one: what this worker's model takes, holds and can do. */
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
import type { Service } from "../service/worker-service.ts";

/** Of this engine, whatever the model; a false one is refused by the name of its field, except image_detail. */
const CAPABILITIES: ModelCapabilities = {
  streaming: true,
  vision: true,
  several_images: true,
  text_completion: true,
  seed: true,
  // `detail` of an image is read and changes nothing: these models see every image in one size.
  image_detail: false,
  image_modes: true,
  continue_final_message: true,
  conversation_template: true,
  occlusion_maps: true,
  logprobs: true,
  several_choices: true,
  penalties: true,
  json_mode: true,
  tools: false,
  prompt_cache: false,
};

export function addModelRoutes(app: FastifyInstance, service: Service): void {
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

function cardOf({ engine, modelName, startedS }: Service): ModelCard {
  const {
    contextLength,
    tokensPerImage,
    imageSize,
    imageShape,
    conversation,
    conversations,
    card,
    takesSystem,
  } = engine.info;
  return createModelCard(modelName, startedS, {
    context_length: contextLength,
    tokens_per_image: tokensPerImage,
    image_size: imageSize,
    image_aspect_ratio: imageShape,
    conversation,
    conversation_templates: conversations,
    input_modalities: ["text", "image"],
    output_modalities: ["text"],
    limits: {
      messages: CHAT_LIMITS.messages,
      parts: CHAT_LIMITS.parts,
      images: CHAT_LIMITS.images,
      text_bytes: CHAT_LIMITS.textBytes,
      stop_strings: SAMPLING_LIMITS.stops,
      answers: SAMPLING_LIMITS.choices,
      top_logprobs: SAMPLING_LIMITS.topLogprobs,
    },
    capabilities: { ...CAPABILITIES, system_message: takesSystem },
    card,
  });
}
