/** `POST /v1/chat/completions`: OpenAI's shape of an answer, streamed or whole. */
import type { EngineEvent } from "@llava/engine";
import {
  chatCompletion,
  chatTimings,
  chatUsage,
  completionHead,
  encodeSse,
  encodeSseJson,
  errorBody,
  finishChunk,
  LlavaError,
  parseChatRequest,
  roleChunk,
  SSE_DONE,
  SSE_HEADERS,
  SSE_PING,
  textChunk,
  usageChunk,
  type ChatCompletion,
  type CompletionHead,
} from "@llava/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { clientSignal, sendFrames } from "./client.ts";
import { fromChatRequest } from "./generate.ts";
import { markQuiet, QUIET } from "./quiet.ts";
import type { Service } from "./service.ts";

/** The controller's limit too: eight pictures of three MiB in base64. */
const MAX_BODY_BYTES = 32 << 20;
/** After this much silence a stream begins with a ping, so that nobody between here and the browser hangs up. */
const QUIET_MS = 10_000;

export function addChatRoute(app: FastifyInstance, service: Service): void {
  app.post("/v1/chat/completions", { bodyLimit: MAX_BODY_BYTES }, (request, reply) =>
    answerChat(service, request, reply),
  );
}

async function answerChat(service: Service, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const chat = parseChatRequest(request.body);
  if (chat.model !== service.modelName)
    throw new LlavaError(
      "model_not_found",
      `This worker serves ${service.modelName}, not ${chat.model}. Ask for ${service.modelName}.`,
    );
  const head = completionHead(service.modelName);
  const signal = clientSignal(reply);
  const events = service.answer(fromChatRequest(chat), signal, request.log);
  if (!chat.stream) return wholeCompletion(head, events);
  const marked = markQuiet(events, QUIET_MS);
  try {
    const first = await marked.next();
    if (!first.done && first.value !== QUIET && first.value.type === "error") throw first.value.error;
    reply.headers(SSE_HEADERS);
    await sendFrames(reply, sseFrames(head, first, marked), signal);
    return reply;
  } finally {
    await marked.return(undefined);
  }
}

async function wholeCompletion(
  head: CompletionHead,
  events: AsyncIterable<EngineEvent>,
): Promise<ChatCompletion> {
  let text = "";
  for await (const event of events) {
    if (event.type === "text-delta") text += event.text;
    else if (event.type === "error") throw event.error;
    else return chatCompletion(head, text, event.reason, chatUsage(event.usage), chatTimings(event.timings));
  }
  throw new LlavaError("internal", "The engine ended without saying how. Try again.");
}

async function* sseFrames(
  head: CompletionHead,
  first: IteratorResult<EngineEvent | typeof QUIET>,
  rest: AsyncGenerator<EngineEvent | typeof QUIET>,
): AsyncGenerator<string> {
  yield encodeSseJson(roleChunk(head));
  for (let next = first; !next.done; next = await rest.next()) yield sseFrame(head, next.value);
}

function sseFrame(head: CompletionHead, event: EngineEvent | typeof QUIET): string {
  if (event === QUIET) return SSE_PING;
  if (event.type === "text-delta") return encodeSseJson(textChunk(head, event.text));
  if (event.type === "error") return encodeSseJson(errorBody(event.error));
  return (
    encodeSseJson(finishChunk(head, event.reason)) +
    encodeSseJson(usageChunk(head, chatUsage(event.usage), chatTimings(event.timings))) +
    encodeSse(SSE_DONE)
  );
}
