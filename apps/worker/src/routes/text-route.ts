/** `POST /v1/completions`: OpenAI's older endpoint, on which a text goes on without a conversation around it. */
import {
  parseTextRequest,
  textCompletion,
  textCompletionChunk,
  textCompletionUsage,
  textLogprobs,
} from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import { fromTextRequest } from "./answer/to-engine-request.ts";
import { answerOpenAi, MAX_BODY_BYTES, type Dialect } from "./answer/openai-answer.ts";
import type { Service } from "../service/worker-service.ts";

const TEXT: Dialect = {
  idPrefix: "cmpl",
  hasOffsets: true,
  beginning: () => null,
  text: (head, index, { text, logprobs, offset }) =>
    textCompletionChunk(head, text, null, index, logprobs && textLogprobs(logprobs, offset)),
  ending: (head, index, reason, timings) => ({
    ...textCompletionChunk(head, "", reason, index),
    timings,
  }),
  usage: textCompletionUsage,
  whole: textCompletion,
};

export function addTextRoute(app: FastifyInstance, service: Service): void {
  const options = { bodyLimit: MAX_BODY_BYTES, config: { role: "user" } } as const;
  app.post("/v1/completions", options, async (request, reply) => {
    const text = parseTextRequest(request.body);
    return await answerOpenAi(service, { request, reply }, text, fromTextRequest(text), TEXT);
  });
}
