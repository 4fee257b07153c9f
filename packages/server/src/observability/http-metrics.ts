/**
 * Requests and responses counted where they come in and go out, apart from each other: their difference is what was
 * received and not answered yet, which no handler that forgets to answer can hide.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Metrics } from "./metrics.ts";

export interface Edge {
  /** For the server's option `addFirst`: also what is refused at the door is a request. */
  readonly watch: (app: FastifyInstance) => void;
}

const LABELS = ["route", "method"] as const;
/** A client that left before anything was sent; nobody gets this status, logs of others have it for the same. */
const LEFT_STATUS = 499;

export function countEdge({ counter, gauge }: Pick<Metrics, "counter" | "gauge">): Edge {
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
        // The response's close, which comes for answers that were sent, broken off or never begun.
        if (raw.closed) close();
        else raw.once("close", close);
      });
    },
  };
}

/** The route as it was declared, never the path that was asked for. */
function labelsOf(request: FastifyRequest): { readonly route: string; readonly method: string } {
  if (request.is404) return { route: "none", method: "any" };
  return { route: request.routeOptions.url ?? "none", method: request.method };
}
