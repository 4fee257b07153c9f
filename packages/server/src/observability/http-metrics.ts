/**
 * Counts requests when they come in and responses when they have gone out: the difference is the requests that are not
 * answered yet, also those that a handler forgets.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { MakeCounter, ReadMetric } from "./metric-types.ts";

export interface HttpMetrics {
  /** Adds the hooks; for the server's option `addFirst`, so that refused requests are counted, too. */
  readonly watch: (app: FastifyInstance) => void;
}

interface Instruments {
  readonly counter: MakeCounter;
  readonly gauge: ReadMetric;
}

const LABELS = ["route", "method"] as const;
/** Status for a client that left before the response began, as in nginx; it is never sent. */
const LEFT_STATUS = 499;

export function createHttpMetrics({ counter, gauge }: Instruments): HttpMetrics {
  const requests = counter("llava_http_requests_total", "Requests that came in.", LABELS);
  const responses = counter(
    "llava_http_responses_total",
    "Responses that went out, by status; 499 when the client left before one was begun.",
    [...LABELS, "status"],
  );
  const broken = counter(
    "llava_http_responses_broken_total",
    "Responses that were begun and not ended, because the client left or the answer failed.",
    LABELS,
  );
  const open = new Set<FastifyReply["raw"]>();
  gauge("llava_http_requests_in_flight", "Requests without a whole response yet.", () => open.size);
  return {
    watch: (app) => {
      app.addHook("onRequest", async (request, reply) => {
        const labels = labelsOf(request);
        const { raw } = reply;
        requests.add(1, labels);
        open.add(raw);
        const close = (): void => {
          open.delete(raw);
          responses.add(1, { ...labels, status: String(raw.headersSent ? raw.statusCode : LEFT_STATUS) });
          if (raw.headersSent && !raw.writableFinished) broken.add(1, labels);
        };
        // `close` comes for responses that were sent, broken off or never begun.
        if (raw.closed) close();
        else raw.once("close", close);
      });
    },
  };
}

/** The route as it was declared; the requested path would let clients add labels without end. */
function labelsOf(request: FastifyRequest): { readonly route: string; readonly method: string } {
  if (request.is404) return { route: "none", method: "any" };
  return { route: request.routeOptions.url ?? "none", method: request.method };
}
