/** The endpoints of the original worker, kept byte for byte (llava.md 2.3 to 2.5), on the same engine. */
import type { EngineEvent } from "@llava/engine";
import {
  encodeWireChunk,
  encodeWireFailure,
  LlavaError,
  OVERFLOW_TEXT,
  parseWireGenerateRequest,
  toLlavaError,
  type WireGenerateRequest,
} from "@llava/protocol";
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { clientSignal, sendFrames } from "./client.ts";
import { fromWireRequest } from "./generate.ts";
import { markQuiet, QUIET } from "./quiet.ts";
import type { Service } from "./service.ts";

/** The controller's limit too: eight pictures of three MiB in base64. */
const MAX_BODY_BYTES = 32 << 20;
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
  const wire = parseOrNull(request.body, request.log);
  if (wire === null) return reply.send(encodeWireFailure(1));
  const signal = clientSignal(reply);
  const marked = markQuiet(wireAnswer(service, wire, signal, request.log), QUIET_MS);
  try {
    const first = await marked.next();
    const refusal =
      first.done || first.value === QUIET || first.value.type !== "error" ? null : first.value.error;
    if (refusal?.code === "overloaded" || refusal?.code === "shutting_down")
      reply.code(refusal.status).header("retry-after", service.admission.retryAfterS());
    await sendFrames(reply, wireFrames(wire.prompt, first, marked), signal);
    return reply;
  } finally {
    await marked.return(undefined);
  }
}

function parseOrNull(body: unknown, log: FastifyBaseLogger): WireGenerateRequest | null {
  try {
    return parseWireGenerateRequest(body);
  } catch (thrown) {
    log.info({ outcome: toLlavaError(thrown).code }, "request");
    return null;
  }
}

/** No room for even one token is an overflow to the original, also when the client asked for none. */
async function* wireAnswer(
  service: Service,
  wire: WireGenerateRequest,
  signal: AbortSignal,
  log: FastifyBaseLogger,
): AsyncGenerator<EngineEvent> {
  if (wire.maxNewTokens >= 1) yield* service.answer(fromWireRequest(wire), signal, log);
  else
    yield {
      type: "error",
      error: new LlavaError("context_length_exceeded", "No new tokens were asked for."),
    };
}

/** Cumulative text that starts with the request's prompt, first without any answer: `P`, `PHello`, … */
async function* wireFrames(
  prompt: string,
  first: IteratorResult<WireEvent>,
  rest: AsyncGenerator<WireEvent>,
): AsyncGenerator<string> {
  let text = prompt;
  let isBegun = false;
  for (let next = first; !next.done; next = await rest.next()) {
    const event = next.value;
    if (event === QUIET) {
      yield EMPTY_FRAME;
      continue;
    }
    if (event.type !== "error" && !isBegun) yield encodeWireChunk(prompt, 0);
    isBegun = true;
    if (event.type === "text-delta") {
      text += event.text;
      yield encodeWireChunk(text, 0);
    } else if (event.type === "error") {
      yield event.error.code === "context_length_exceeded"
        ? encodeWireChunk(text + OVERFLOW_TEXT, 0)
        : encodeWireFailure(1);
    }
  }
}
