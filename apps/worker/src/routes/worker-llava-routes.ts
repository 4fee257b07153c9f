/** The endpoints of the original worker, kept byte for byte (llava.md 2.3 to 2.5), on the same engine. */
import { randomInt } from "node:crypto";
import type { EngineEvent } from "@llava/engine";
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
import { fromWireRequest } from "./answer/to-engine-request.ts";
import { isFromController } from "./answer/openai-answer.ts";
import { markQuiet, QUIET } from "./answer/keepalive.ts";
import type { Service } from "../service/worker-service.ts";

/** The controller's limit too: eight images of three MiB in base64; and what a client has of an answer that is continued. */
const MAX_BODY_BYTES = (32 << 20) + (2 << 20);
/** The original's controller hangs up after 5 s without a byte; it skips empty frames, so one of those keeps it. */
const QUIET_MS = 3_000;
const EMPTY_FRAME = "\0";

type WireEvent = EngineEvent | typeof QUIET;

export function addLlavaRoutes(app: FastifyInstance, service: Service): void {
  app.post("/worker_get_status", { config: { role: "user" } }, () => service.status());
  app.post(
    "/worker_generate_stream",
    { bodyLimit: MAX_BODY_BYTES, config: { role: "user" } },
    (request, reply) => answerWire(service, request, reply),
  );
}

/** A failure is a frame with status 200, as in the original; only a full queue and a stopping worker show in the status too. */
async function answerWire(service: Service, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  reply.type("application/octet-stream");
  const isHop = isFromController(request);
  const wire = parseOrNull(request, isHop);
  if (wire === null) return reply.send(encodeWireFailure(1));
  const signal = clientSignal(reply);
  const { id, created } = wire.resume ?? completionHead(service.modelName);
  const seed = wire.resume?.seed ?? randomInt(2 ** 31);
  const marked = markQuiet(wireAnswer(service, wire, seed, signal, request.log), QUIET_MS);
  try {
    const first = await marked.next();
    const refusal =
      first.done || first.value === QUIET || first.value.type !== "error" ? null : first.value.error;
    if (refusal?.code === "overloaded" || refusal?.code === "shutting_down")
      reply.code(refusal.status).header("retry-after", service.admission.retryAfterS());
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
  service: Service,
  wire: WireGenerateRequest,
  seed: number,
  signal: AbortSignal,
  log: FastifyBaseLogger,
): AsyncGenerator<EngineEvent> {
  const resume = wire.resume === null ? {} : { resume: { tokens: wire.resume.tokens } };
  const request = { ...fromWireRequest(wire), seed, ...resume };
  if (wire.maxNewTokens >= 1) yield* service.answer(request, signal, log);
  else
    yield {
      type: "error",
      error: new LlavaError("context_length_exceeded", "No new tokens were asked for."),
    };
}

/**
 * Cumulative text that starts with the request's prompt, first without any answer: `P`, `PHello`, … Of an answer that is
 * continued only what its client has not got.
 * @param head for a controller, who is told the tokens too, in lines before the frames' objects as in a stream of events
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
    if (event === QUIET) {
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
