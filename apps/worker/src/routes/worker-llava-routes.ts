/** Serves the endpoints of the original worker byte for byte (haotian-liu/LLaVA, llava/serve/model_worker.py). */
import { randomInt } from "node:crypto";
import type { GenerateEvent } from "@llava/backend";
import {
  completionHead,
  encodeResumeHead,
  encodeResumeTokens,
  encodeWireChunk,
  encodeWireFailure,
  LlavaError,
  OVERFLOW_TEXT,
  parseWireGenerateRequest,
  RESUME_FIELD,
  toLlavaError,
  type ResumeHead,
  type WireGenerateRequest,
} from "@llava/protocol";
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { clientSignal, sendFrames } from "./answer/answer-client.ts";
import { fromWireRequest } from "./answer/to-backend-request.ts";
import { isFromController } from "./answer/openai-answer.ts";
import { IDLE, markIdle } from "./answer/keepalive.ts";
import type { WorkerService } from "../service/worker-service.ts";

/** Eight images of three MiB in base64, as in the controller, and the sent text of an answer that is continued. */
const MAX_BODY_BYTES = (32 << 20) + (2 << 20);
/** The original's controller closes a connection after 5 s without a byte; it skips empty frames, which keep it open. */
const KEEPALIVE_MS = 3_000;
const EMPTY_FRAME = "\0";

type WireEvent = GenerateEvent | typeof IDLE;

export function addLlavaRoutes(app: FastifyInstance, service: WorkerService): void {
  app.post("/worker_get_status", { config: { role: "user" } }, () => service.status());
  app.post(
    "/worker_generate_stream",
    { bodyLimit: MAX_BODY_BYTES, config: { role: "user" } },
    (request, reply) => answerWire(service, request, reply),
  );
}

/** A failure is a frame with status 200, as in the original; only a full queue and a stopping worker show in the status too. */
async function answerWire(
  service: WorkerService,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  reply.type("application/octet-stream");
  const isHop = isFromController(request);
  const wire = parseOrNull(request, isHop);
  if (wire === null) return reply.send(encodeWireFailure(1));
  const signal = clientSignal(reply);
  const { id, created } = wire.resume ?? completionHead(service.modelName);
  const seed = wire.resume?.seed ?? randomInt(2 ** 31);
  const marked = markIdle(wireAnswer(service, wire, seed, signal, request.log), KEEPALIVE_MS);
  try {
    const first = await marked.next();
    const refusal =
      first.done || first.value === IDLE || first.value.type !== "error" ? null : first.value.error;
    if (refusal?.code === "overloaded" || refusal?.code === "shutting_down")
      reply.code(refusal.status).header("retry-after", service.retryAfterS());
    await sendFrames(reply, wireFrames(wire, isHop ? { id, created, seed } : null, first, marked), signal);
    return reply;
  } finally {
    await marked.return(undefined);
  }
}

function parseOrNull({ body, log }: FastifyRequest, isHop: boolean): WireGenerateRequest | null {
  try {
    const wire = parseWireGenerateRequest(body);
    if (wire.resume !== null) checkResume(wire, wire.resume.sentFrame.text, isHop);
    return wire;
  } catch (thrown) {
    const { code, message } = toLlavaError(thrown);
    log.info({ outcome: code, reason: message }, "request");
    return null;
  }
}

function checkResume({ prompt }: WireGenerateRequest, said: string, isHop: boolean): void {
  if (isHop && said.startsWith(prompt)) return;
  const sentence = isHop
    ? `The field ${RESUME_FIELD}.sent_frame is of another prompt; ask from the beginning.`
    : `The field ${RESUME_FIELD} is for controllers of this worker's cluster; leave it out.`;
  throw new LlavaError("invalid_request", sentence, { param: RESUME_FIELD });
}

/** No room for even one token is an overflow to the original, also when the client asked for none. */
async function* wireAnswer(
  service: WorkerService,
  wire: WireGenerateRequest,
  seed: number,
  signal: AbortSignal,
  log: FastifyBaseLogger,
): AsyncGenerator<GenerateEvent> {
  const resume = wire.resume === null ? {} : { resume: { tokens: wire.resume.tokens } };
  const request = { ...fromWireRequest(wire), seed, ...resume };
  if (wire.maxNewTokens < 1) {
    const error = new LlavaError("context_length_exceeded", "No new tokens were asked for.");
    return yield { type: "error", error };
  }
  for await (const { event } of service.answer(request, signal, log)) yield event;
}

/**
 * Cumulative text that starts with the request's prompt, first without any answer: `P`, `PHello`, … An answer that is
 * continued begins with the first text that its client does not have.
 * @param head for a controller, which gets the tokens too, in lines before the frames' objects as in a stream of events
 */
async function* wireFrames(
  { prompt, resume }: WireGenerateRequest,
  head: ResumeHead | null,
  first: IteratorResult<WireEvent>,
  rest: AsyncGenerator<WireEvent>,
): AsyncGenerator<string> {
  const opening = head === null ? "" : encodeResumeHead(head);
  let text = resume?.sentFrame.text ?? prompt;
  let isBegun = false;
  for (let next = first; !next.done; next = await rest.next()) {
    const event = next.value;
    if (event === IDLE) {
      yield EMPTY_FRAME;
      continue;
    }
    if (event.type !== "error" && !isBegun)
      yield opening + (resume === null ? encodeWireChunk(prompt, 0) : EMPTY_FRAME);
    isBegun = true;
    if (event.type === "text-delta") {
      text += event.text;
      yield (head === null ? "" : encodeResumeTokens(event.tokens)) + encodeWireChunk(text, 0);
    } else if (event.type === "error") {
      yield event.error.code === "context_length_exceeded"
        ? encodeWireChunk(text + OVERFLOW_TEXT, 0)
        : encodeWireFailure(1);
    }
  }
}
