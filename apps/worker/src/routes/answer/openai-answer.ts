/**
 * An answer in OpenAI's shapes, streamed or whole: what the endpoints for chat and for text share. A stream for a controller
 * says beside its text what another worker needs to finish it (hop.ts); one of several answers does not, so that a
 * controller whose worker is lost in the middle of it says so.
 */
import { randomInt } from "node:crypto";
import { isPeer } from "@llava/server";
import type { EngineEvent, FinishReason, GenerateRequest } from "@llava/engine";
import {
  chatTimings,
  chatUsage,
  completionHead,
  encodeResumeHead,
  RESUME_HEADER,
  RESUME_VERSION,
  IGNORED_HEADER,
  ignoredFields,
  LlavaError,
  PROGRESS_HEADER,
  PROGRESS_VERSION,
  RESUME_FIELD,
  SSE_HEADERS,
  type AnsweredToken,
  type AnswerRequest,
  type ChatTimings,
  type ChatUsage,
  type CompletionHead,
  type WholeAnswer,
} from "@llava/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import { clientSignal, sendFrames } from "./answer-client.ts";
import { answeredTokens } from "./likelihoods.ts";
import { streamBlocks } from "./openai-stream.ts";
import { Preparation } from "../../service/request-progress.ts";
import { markQuiet, QUIET } from "./keepalive.ts";
import type { ChoiceEvent, Service } from "../../service/worker-service.ts";
import { Silence } from "./keepalive-lines.ts";
import { sumUsage } from "../../service/usage.ts";

/** Eight images of three MiB in base64, the controller's limit too; and the tokens of an answer that is continued. */
export const MAX_BODY_BYTES = (32 << 20) + (1 << 20);

/** Some words of an answer. */
export interface Words {
  readonly text: string;
  /** Of their tokens; null where nobody asked. */
  readonly logprobs: readonly AnsweredToken[] | null;
  /** Characters of the answer before these. */
  readonly offset: number;
}

/** What differs between the endpoints. `index` says which one of several answers it is. */
export interface Dialect {
  readonly idPrefix: "chatcmpl" | "cmpl";
  /** Logprobs say where in the answer a token stands, which a worker that continues another one's cannot. */
  readonly hasOffsets: boolean;
  /** What a stream begins with before its words, or null. */
  readonly beginning: (head: CompletionHead, index: number) => object | null;
  readonly text: (head: CompletionHead, index: number, words: Words) => object;
  readonly ending: (
    head: CompletionHead,
    index: number,
    reason: FinishReason,
    timings: ChatTimings,
  ) => object;
  readonly usage: (head: CompletionHead, usage: ChatUsage) => object;
  readonly whole: (
    head: CompletionHead,
    answers: readonly WholeAnswer[],
    usage: ChatUsage,
    timings: ChatTimings,
  ) => object;
}

/** @param generate of the same request; seeds and resume are added here, because the stream announces them */
export async function answerOpenAi(
  service: Service,
  exchange: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  asked: AnswerRequest,
  generate: GenerateRequest,
  dialect: Dialect,
): Promise<unknown> {
  const { request, reply } = exchange;
  requireModel(service, asked.model);
  const isHop =
    isFromController(request) && asked.n === 1 && !(dialect.hasOffsets && asked.logprobs !== undefined);
  if (asked.resume && !(isHop && asked.stream)) throw notResumable(request, asked);
  const seed = asked.resume?.seed ?? asked.seed ?? randomInt(2 ** 31);
  const { id, created } = asked.resume ?? completionHead(service.modelName, Date.now(), dialect.idPrefix);
  const head = { id, created, model: service.modelName };
  const signal = clientSignal(reply);
  const ignored = ignoredFields(request.body);
  if (ignored.length > 0) reply.header(IGNORED_HEADER, ignored.join(", "));
  const resume = asked.resume ? { resume: { tokens: asked.resume.tokens } } : {};
  const requests = Array.from({ length: asked.n }, (_, i) => ({ ...generate, seed: seed + i, ...resume }));
  const preparation = wantsProgress(request) ? new Preparation() : null;
  const events = service.answers(requests, signal, request.log, preparation);
  const tokenBytes = (token: number): Uint8Array => service.engine.tokenBytes(token);
  if (!asked.stream) return await wholeAnswer(head, asked, events, dialect, tokenBytes);
  const silence = new Silence(preparation);
  const marked = markQuiet(events, silence.intervalMs);
  try {
    let first = await marked.next();
    let firstLine = "";
    while (!first.done && first.value === QUIET && (firstLine = silence.line()) === "")
      first = await marked.next();
    if (!first.done && first.value !== QUIET && first.value.event.type === "error")
      throw named(first.value.event.error, dialect);
    reply.headers(SSE_HEADERS);
    const style = {
      head,
      dialect,
      numAnswers: asked.n,
      includeUsage: asked.includeUsage,
      isHop,
      isResumed: asked.resume !== undefined,
      tokenBytes,
      silence,
    };
    const opening = isHop ? encodeResumeHead({ id, created, seed }) : "";
    await sendFrames(reply, streamBlocks(style, opening, firstLine, first, marked), signal);
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

function wantsProgress(request: FastifyRequest): boolean {
  return request.headers[PROGRESS_HEADER] === PROGRESS_VERSION;
}

export function isFromController(request: FastifyRequest): boolean {
  return request.headers[RESUME_HEADER] === RESUME_VERSION && isPeer(request);
}

function notResumable(request: FastifyRequest, { stream }: AnswerRequest): LlavaError {
  let sentence = `A stream of several answers, or of a text with logprobs, cannot be continued; leave out ${RESUME_FIELD}.`;
  if (!stream) sentence = `Only a stream can be continued: send ${RESUME_FIELD} with stream: true.`;
  if (!isFromController(request))
    sentence = `The field ${RESUME_FIELD} is for controllers of this worker's cluster; leave it out.`;
  return new LlavaError("invalid_request", sentence, { param: RESUME_FIELD });
}

/** OpenAI says which field is too long; the engine knows no fields. */
function named(error: LlavaError, { idPrefix }: Dialect): LlavaError {
  if (error.code !== "context_length_exceeded" || error.param !== null) return error;
  const param = idPrefix === "cmpl" ? "prompt" : "messages";
  return new LlavaError(error.code, error.message, { cause: error.cause, param });
}

type Finished = Extract<EngineEvent, { type: "finished" }>;

async function wholeAnswer(
  head: CompletionHead,
  { n: numAnswers, logprobs: top }: AnswerRequest,
  events: AsyncIterable<ChoiceEvent>,
  dialect: Dialect,
  tokenBytes: (id: number) => Uint8Array,
): Promise<object> {
  const texts = Array.from({ length: numAnswers }, () => "");
  const logprobs = texts.map((): AnsweredToken[] | null => (top === undefined ? null : []));
  const ends: Finished[] = [];
  for await (const { index, event } of events) {
    if (event.type === "error") throw named(event.error, dialect);
    if (event.type === "finished") ends[index] = event;
    else {
      texts[index] += event.text;
      if (event.logprobs) logprobs[index]?.push(...answeredTokens(event.logprobs, tokenBytes));
    }
  }
  const [first] = ends;
  if (!first || ends.filter(Boolean).length < numAnswers)
    throw new LlavaError("internal", "The engine ended without saying how. Try again.");
  const answers = ends.map(({ reason }, i) => ({
    text: texts[i] ?? "",
    reason,
    logprobs: logprobs[i] ?? null,
  }));
  const usage = chatUsage(sumUsage(ends.map((end) => end.usage)));
  return dialect.whole(head, answers, usage, chatTimings(first.timings));
}
