/**
 * Answers a request in OpenAI's shapes, streamed or whole, for the endpoints of chat and text. A stream for a controller holds
 * beside its text what another worker needs to finish it (packages/protocol/src/cluster/resume.ts); a stream of several
 * choices does not, so that a controller that loses its worker in the middle of one reports an error.
 */
import { randomInt } from "node:crypto";
import { isPeer } from "@llava/server";
import type { BackendRequest, ChoiceEvent, GenerateEvent, GenerateRequest } from "@llava/backend";
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
  type CompletionHead,
} from "@llava/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import { clientSignal, sendFrames } from "./answer-client.ts";
import { answeredTokens } from "./openai-logprobs.ts";
import type { Dialect } from "./openai-dialect.ts";
import { streamBlocks } from "./openai-stream.ts";
import { RequestProgress } from "../../service/request-progress.ts";
import { IDLE, markIdle } from "./keepalive.ts";
import { lacking } from "../../service/require-capabilities.ts";
import type { WorkerService } from "../../service/worker-service.ts";
import { KeepaliveLines } from "./keepalive-lines.ts";
import { sumUsage } from "../../service/usage.ts";

/** Eight images of three MiB in base64, as in the controller, and the tokens of an answer that is continued. */
export const MAX_BODY_BYTES = (32 << 20) + (1 << 20);
const NO_BYTES = new Uint8Array(0);

/** @param generate the same request for the backend; seed and resume are added here, because the stream announces them */
export async function answerOpenAi(
  service: WorkerService,
  exchange: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  asked: AnswerRequest,
  generate: GenerateRequest,
  dialect: Dialect,
): Promise<unknown> {
  const { request, reply } = exchange;
  requireModel(service, asked.model);
  const isForController =
    isFromController(request) && asked.n === 1 && !(dialect.hasOffsets && asked.logprobs !== undefined);
  if (asked.resume && !(isForController && asked.stream)) throw notResumable(request, asked);
  if (asked.seed !== undefined && !service.backend.capabilities.seed)
    throw lacking("seed", "seeded sampling");
  const seed = asked.resume?.seed ?? asked.seed ?? randomInt(2 ** 31);
  const { id, created } = asked.resume ?? completionHead(service.modelName, Date.now(), dialect.idPrefix);
  const head = { id, created, model: service.modelName };
  const signal = clientSignal(reply);
  const ignored = ignoredFields(request.body);
  if (ignored.length > 0) reply.header(IGNORED_HEADER, ignored.join(", "));
  const resume = asked.resume ? { resume: { tokens: asked.resume.tokens } } : {};
  const wanted: BackendRequest = { ...generate, choices: asked.n, seed, ...resume };
  const progress = wantsProgress(request) ? new RequestProgress() : null;
  const events = service.answer(wanted, signal, request.log, progress);
  const tokenBytes = (id: number): Uint8Array => service.backend.tokenBytes?.(id) ?? NO_BYTES;
  if (!asked.stream) return await wholeAnswer(head, asked, events, dialect, tokenBytes);
  const keepalive = new KeepaliveLines(progress);
  const marked = markIdle(events, keepalive.intervalMs);
  try {
    let first = await marked.next();
    let firstLine = "";
    while (!first.done && first.value === IDLE && (firstLine = keepalive.line()) === "")
      first = await marked.next();
    if (!first.done && first.value !== IDLE && first.value.event.type === "error")
      throw withField(first.value.event.error, dialect);
    reply.headers(SSE_HEADERS);
    const style = {
      head,
      dialect,
      numAnswers: asked.n,
      includeUsage: asked.includeUsage,
      isForController,
      isResumed: asked.resume !== undefined,
      tokenBytes,
      keepalive,
    };
    const opening = isForController ? encodeResumeHead({ id, created, seed }) : "";
    await sendFrames(reply, streamBlocks(style, opening, firstLine, first, marked), signal);
    return reply;
  } finally {
    await marked.return(undefined);
  }
}

/** @throws LlavaError `model_not_found` */
export function requireModel(service: WorkerService, model: string): void {
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

/** Adds the field that is too long, as OpenAI's errors have it: backends know no fields. */
function withField(error: LlavaError, { idPrefix }: Dialect): LlavaError {
  if (error.code !== "context_length_exceeded" || error.param !== null) return error;
  const param = idPrefix === "cmpl" ? "prompt" : "messages";
  return new LlavaError(error.code, error.message, { cause: error.cause, param });
}

type Finished = Extract<GenerateEvent, { type: "finished" }>;

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
    if (event.type === "error") throw withField(event.error, dialect);
    if (event.type === "finished") ends[index] = event;
    else {
      texts[index] += event.text;
      if (event.logprobs) logprobs[index]?.push(...answeredTokens(event.logprobs, tokenBytes));
    }
  }
  const [first] = ends;
  if (!first || ends.filter(Boolean).length < numAnswers)
    throw new LlavaError("internal", "The backend ended the answer without a terminal event. Try again.");
  const answers = ends.map(({ reason }, i) => ({
    text: texts[i] ?? "",
    reason,
    logprobs: logprobs[i] ?? null,
  }));
  const usage = chatUsage(sumUsage(ends.map((end) => end.usage)));
  return dialect.completion(head, answers, usage, chatTimings(first.timings));
}
