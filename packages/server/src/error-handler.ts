/** Answers all failures of a server: its own errors, the framework's, and those of the HTTP parser below it. */
import type { Socket } from "node:net";
import { errorBody, LlavaError, retryHeaders, toLlavaError } from "@llava/protocol";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

export interface ErrorHandlerOptions {
  /** End of the sentence for addresses that do not exist: where to look instead. */
  readonly seeAlso: string;
  /** Seconds after which a retry can succeed; null leaves the headers that the error table gives. */
  readonly retryAfterS?: (error: LlavaError) => number | null;
  /** Whether browsers ask their user for the key, as the password of any user name. */
  readonly asksBrowsers?: boolean;
}

/** Bytes of an unwanted body that are still read, so that its sender receives the response before the connection ends. */
const MAX_LINGER_BYTES = 128 << 20;

export function setErrorHandlers(app: FastifyInstance, options: ErrorHandlerOptions): void {
  const { seeAlso, retryAfterS, asksBrowsers = false } = options;
  const schemes = asksBrowsers ? 'Basic realm="LLaVA", Bearer realm="LLaVA"' : 'Bearer realm="LLaVA"';
  app.setErrorHandler(async (thrown, request, reply) => {
    const error = fromFramework(thrown, request);
    if (error.status >= 500) request.log.error({ err: thrown, code: error.code }, "request failed");
    const seconds = retryAfterS?.(error) ?? null;
    if (seconds !== null) setRetryAfter(reply, seconds * 1000);
    // The framework would close at once; bytes that arrive meanwhile make that a reset, which may overtake the response.
    const canLinger = announcedBytes(request) <= MAX_LINGER_BYTES;
    if (error.code === "request_too_large" && canLinger) reply.removeHeader("connection");
    if (error.status === 401) reply.header("www-authenticate", schemes);
    for (const [name, value] of Object.entries(retryHeaders(error))) {
      if (!reply.hasHeader(name)) reply.header(name, value);
    }
    return reply.status(error.status).send(errorBody(error));
  });
  app.setNotFoundHandler(async (request) => {
    const place = JSON.stringify(`${request.method} ${request.url}`.slice(0, 120));
    throw new LlavaError("not_found", `There is no ${place} here. ${seeAlso}`);
  });
}

/** Infinite for a body without a length. */
function announcedBytes({ headers }: FastifyRequest): number {
  if (headers["transfer-encoding"] !== undefined) return Number.POSITIVE_INFINITY;
  return Number(headers["content-length"] ?? 0);
}

/** Sets `retry-after` in whole seconds, and milliseconds as OpenAI's clients read them. */
export function setRetryAfter(reply: FastifyReply, ms: number): void {
  reply.headers({
    "retry-after": String(Math.ceil(ms / 1000)),
    "retry-after-ms": String(Math.ceil(ms)),
  });
}

/** Answers what never became a request: a head that is too large, malformed or too late. */
export function answerClientError(thrown: NodeJS.ErrnoException, socket: Socket): void {
  // A response cannot reach a client that is gone, nor be sent in the middle of another.
  if (thrown.code === "ECONNRESET" || !socket.writable || isAnswering(socket)) {
    socket.destroy();
    return;
  }
  const error = headFailure(thrown.code);
  const body = JSON.stringify(errorBody(error));
  socket.end(
    `HTTP/1.1 ${error.status} ${REASONS[error.status] ?? "Bad Request"}\r\n` +
      `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

/** Node keeps the response under way in a field of its socket. */
function isAnswering(socket: Socket): boolean {
  const answer: unknown = Reflect.get(socket, "_httpMessage");
  return typeof answer === "object" && answer !== null && Reflect.get(answer, "headersSent") === true;
}

const REASONS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

function headFailure(code: string | undefined): LlavaError {
  if (code === "HPE_HEADER_OVERFLOW") return headersTooLarge("The headers of the request are too large");
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new LlavaError("timeout", "The request did not come in time. Send it again.");
  }
  return new LlavaError("invalid_request", "This is not a request in HTTP/1.1.");
}

export function headersTooLarge(what: string): LlavaError {
  return new LlavaError("headers_too_large", `${what}. Send fewer and shorter ones.`);
}

/** The framework's own errors as those of the error table. */
function fromFramework(thrown: unknown, request: FastifyRequest): LlavaError {
  if (request.raw.destroyed && !request.raw.complete) {
    return new LlavaError("cancelled", "The client left in the middle of its request.", { cause: thrown });
  }
  if (thrown instanceof LlavaError || !isFastifyError(thrown)) return toLlavaError(thrown);
  if (thrown.statusCode === 413) {
    const limit = request.routeOptions.bodyLimit ?? 0;
    const size = limit >= 1 << 20 ? `${limit / (1 << 20)} MiB` : `${limit / 1024} KiB`;
    return new LlavaError(
      "request_too_large",
      `The body is larger than the ${size} that this endpoint takes. Send fewer or smaller images.`,
    );
  }
  if (thrown.statusCode === 415) {
    return new LlavaError("unsupported_media_type", "Send JSON with content-type: application/json.");
  }
  if (thrown.statusCode === 414) return headersTooLarge("The address is too long");
  if (thrown.statusCode !== undefined && thrown.statusCode >= 400 && thrown.statusCode < 500) {
    return new LlavaError("invalid_request", `The request cannot be read: ${thrown.message}.`);
  }
  return toLlavaError(thrown);
}

function isFastifyError(thrown: unknown): thrown is FastifyError {
  return thrown instanceof Error && "code" in thrown && String(thrown.code).startsWith("FST_");
}
