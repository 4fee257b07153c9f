/** `POST /v1/completions`: OpenAI's older endpoint, which continues a text without a conversation around it. */
import {
  parseTextRequest,
  textCompletion,
  textCompletionChunk,
  textCompletionUsage,
  textLogprobs,
} from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import { fromTextRequest } from "./answer/to-backend-request.ts";
import { answerOpenAi, MAX_BODY_BYTES } from "./answer/openai-answer.ts";
import type { Dialect } from "./answer/openai-dialect.ts";
import type { WorkerService } from "../service/worker-service.ts";

const TEXT: Dialect = {
  idPrefix: "cmpl",
  hasOffsets: true,
  openingChunk: () => null,
  textChunk: (head, index, { text, logprobs, offset }) =>
    textCompletionChunk(head, text, null, index, logprobs && textLogprobs(logprobs, offset)),
  finishChunk: (head, index, reason, timings) => ({
    ...textCompletionChunk(head, "", reason, index),
    timings,
  }),
  usageChunk: textCompletionUsage,
  completion: textCompletion,
};

export function addTextRoute(app: FastifyInstance, service: WorkerService): void {
  const options = { bodyLimit: MAX_BODY_BYTES, config: { role: "user" } } as const;
  app.post("/v1/completions", options, async (request, reply) => {
    const text = parseTextRequest(request.body);
    return await answerOpenAi(service, { request, reply }, text, fromTextRequest(text), TEXT);
  });
}
