/**
 * An answer in OpenAI's shapes, streamed or whole: what the endpoints for chat and for text share. A stream for a controller
 * says beside its text what another worker needs to finish it (hop.ts).
 */
import { randomInt } from "node:crypto";
import { isPeer } from "@llava/door";
import type { EngineEvent, FinishReason, GenerateRequest } from "@llava/engine";
import {
  chatTimings,
  chatUsage,
  completionHead,
  encodeHopHead,
  encodeHopTokens,
  encodeSse,
  encodeSseJson,
  errorBody,
  HOP_HEADER,
  HOP_VERSION,
  LlavaError,
  RESUME_FIELD,
  SSE_DONE,
  SSE_HEADERS,
  SSE_PING,
  type AnswerRequest,
  type ChatTimings,
  type ChatUsage,
  type CompletionHead,
} from "@llava/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import { clientSignal, sendFrames } from "./client.ts";
import { markQuiet, QUIET } from "./quiet.ts";
import type { Service } from "./service.ts";

/** Eight pictures of three MiB in base64, the controller's limit too; and the tokens of an answer that is continued. */
export const MAX_BODY_BYTES = (32 << 20) + (1 << 20);
/** After this much silence a stream begins with a ping, so that nobody between here and the browser hangs up. */
const QUIET_MS = 10_000;

/** What differs between the endpoints. */
export interface Dialect {
  readonly idPrefix: "chatcmpl" | "cmpl";
  /** What a stream begins with before its words, or null. */
  readonly beginning: (head: CompletionHead) => object | null;
  readonly words: (head: CompletionHead, text: string) => object;
  readonly ending: (head: CompletionHead, reason: FinishReason, timings: ChatTimings) => object;
  readonly usage: (head: CompletionHead, usage: ChatUsage) => object;
  readonly whole: (
    head: CompletionHead,
    text: string,
    reason: FinishReason,
    usage: ChatUsage,
    timings: ChatTimings,
  ) => object;
}

/** @param generate of the same request; seed and resume are added here, because the stream announces them */
export async function answerOpenAi(
  service: Service,
  exchange: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  asked: AnswerRequest,
  generate: GenerateRequest,
  dialect: Dialect,
): Promise<unknown> {
  const { request, reply } = exchange;
  requireModel(service, asked.model);
  const isHop = isFromController(request);
  if (asked.resume && !(isHop && asked.stream)) throw notResumable(isHop);
  const seed = asked.resume?.seed ?? asked.seed ?? randomInt(2 ** 31);
  const { id, created } = asked.resume ?? completionHead(service.modelName, Date.now(), dialect.idPrefix);
  const head = { id, created, model: service.modelName };
  const signal = clientSignal(reply);
  const resume = asked.resume ? { resume: { tokens: asked.resume.tokens } } : {};
  const events = service.answer({ ...generate, seed, ...resume }, signal, request.log);
  if (!asked.stream) return await wholeAnswer(head, events, dialect);
  const marked = markQuiet(events, QUIET_MS);
  try {
    const first = await marked.next();
    if (!first.done && first.value !== QUIET && first.value.type === "error") throw first.value.error;
    reply.headers(SSE_HEADERS);
    const style = {
      head,
      dialect,
      includeUsage: asked.includeUsage,
      isHop,
      isResumed: asked.resume !== undefined,
    };
    await sendFrames(
      reply,
      blocks(style, isHop ? encodeHopHead({ id, created, seed }) : "", first, marked),
      signal,
    );
    return reply;
  } finally {
    await marked.return(undefined);
  }
}

/** @throws LlavaError `model_not_found` */
export function requireModel(service: Service, model: string): void {
  if (model === service.modelName) return;
  throw new LlavaError(
    "model_not_found",
    `This worker serves ${service.modelName}, not ${model}. Ask for ${service.modelName}.`,
    { param: "model" },
  );
}

function isFromController(request: FastifyRequest): boolean {
  return request.headers[HOP_HEADER] === HOP_VERSION && isPeer(request);
}

function notResumable(isHop: boolean): LlavaError {
  const sentence = isHop
    ? `Only a stream can be continued: send ${RESUME_FIELD} with stream: true.`
    : `The field ${RESUME_FIELD} is for controllers of this worker's cluster; leave it out.`;
  return new LlavaError("invalid_request", sentence, { param: RESUME_FIELD });
}

async function wholeAnswer(
  head: CompletionHead,
  events: AsyncIterable<EngineEvent>,
  dialect: Dialect,
): Promise<object> {
  let text = "";
  for await (const event of events) {
    if (event.type === "text-delta") text += event.text;
    else if (event.type === "error") throw event.error;
    else {
      const { reason, usage, timings } = event;
      return dialect.whole(head, text, reason, chatUsage(usage), chatTimings(timings));
    }
  }
  throw new LlavaError("internal", "The engine ended without saying how. Try again.");
}

interface StreamStyle {
  readonly head: CompletionHead;
  readonly dialect: Dialect;
  readonly includeUsage: boolean;
  /** Tokens are told, too. */
  readonly isHop: boolean;
  /** The client has the beginning already. */
  readonly isResumed: boolean;
}

/** The stream, block by block; `opening` are the lines in front of the first one that is no ping. */
async function* blocks(
  style: StreamStyle,
  opening: string,
  first: IteratorResult<EngineEvent | typeof QUIET>,
  rest: AsyncGenerator<EngineEvent | typeof QUIET>,
): AsyncGenerator<string> {
  const beginning = style.isResumed ? null : style.dialect.beginning(style.head);
  if (beginning) yield opening + chunkOf(style, beginning);
  let lines = beginning ? "" : opening;
  for (let next = first; !next.done; next = await rest.next()) {
    if (next.value === QUIET) {
      yield SSE_PING;
      continue;
    }
    yield lines + blockOf(style, next.value);
    lines = "";
  }
}

function blockOf(style: StreamStyle, event: EngineEvent): string {
  const { head, dialect } = style;
  if (event.type === "error") return encodeSseJson(errorBody(event.error));
  if (event.type === "text-delta") {
    const tokens = style.isHop ? encodeHopTokens(event.tokens) : "";
    return tokens + chunkOf(style, dialect.words(head, event.text));
  }
  const ending = chunkOf(style, dialect.ending(head, event.reason, chatTimings(event.timings)));
  const usage = style.includeUsage ? encodeSseJson(dialect.usage(head, chatUsage(event.usage))) : "";
  return ending + usage + encodeSse(SSE_DONE);
}

/** Who asked for the usage gets the field in every chunk, null but for the last. */
function chunkOf({ includeUsage }: StreamStyle, chunk: object): string {
  return encodeSseJson(includeUsage ? { ...chunk, usage: null } : chunk);
}
