/** `POST /v1/chat/completions`: OpenAI's endpoint for conversations with images. */
import {
  chatCompletion,
  finishChunk,
  parseChatRequest,
  roleChunk,
  textChunk,
  usageChunk,
} from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import { clientSignal } from "./answer/answer-client.ts";
import { fromChatRequest } from "./answer/to-backend-request.ts";
import { answerOpenAi, MAX_BODY_BYTES, requireModel } from "./answer/openai-answer.ts";
import type { Dialect } from "./answer/openai-dialect.ts";
import { readImages } from "../images/request-images.ts";
import type { WorkerService } from "../service/worker-service.ts";

const CHAT: Dialect = {
  idPrefix: "chatcmpl",
  hasOffsets: false,
  openingChunk: roleChunk,
  textChunk: (head, index, { text, logprobs }) => textChunk(head, text, index, logprobs),
  finishChunk: (head, index, reason, timings) => finishChunk(head, reason, timings, index),
  usageChunk,
  completion: chatCompletion,
};

export function addChatRoute(app: FastifyInstance, service: WorkerService): void {
  const options = { bodyLimit: MAX_BODY_BYTES, config: { role: "user" } } as const;
  app.post("/v1/chat/completions", options, async (request, reply) => {
    const chat = parseChatRequest(request.body);
    requireModel(service, chat.model);
    const images = await readImages(chat, service.images, request, clientSignal(reply));
    return await answerOpenAi(service, { request, reply }, chat, fromChatRequest(chat, images), CHAT);
  });
}
