/**
 * Adds LLaVA's own endpoints, as its workers, web server and scripts call them. The names, the bodies and the fixed sentence
 * for failures are those of haotian-liu/LLaVA (`llava/serve/controller.py`).
 */
import {
  encodeWireFailure,
  LlavaError,
  parseAddressRequest,
  parseDeregisterWorker,
  parseHeartBeat,
  parseRegisterWorker,
  type WireErrorCode,
} from "@llava/protocol";
import type { FastifyInstance, FastifyReply } from "fastify";
import { errorIn, textOfFirst, type RelayedAnswer } from "../relay/relayed-answer.ts";
import { jsonOfBody, MAX_RELAYED_BODY_BYTES } from "../body/request-body.ts";
import type { ControllerMetrics } from "../metrics/controller-metrics.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Registry } from "../registry/registry.ts";
import { relayHandler, type RelayEndpoint } from "./relay-handler.ts";
import type { RelayLimits } from "../relay/relay-request.ts";
import type { Relay } from "../relay/relay.ts";
import type { OpenStreams } from "../relay/open-streams.ts";

/** A failure is a frame with a code and the fixed sentence, in an answer with status 200; its reason is in the log. */
const LLAVA_ENDPOINT: RelayEndpoint = {
  path: "/worker_generate_stream",
  framing: "wire",
  isAlwaysStream: true,
  // The original's clients know no comments, and they need none: each frame has all of the text.
  separator: "",
  check: refuseStatus,
  // The wire has one code for all failures of a worker, which hides what the failure was.
  failureOf: () => null,
  refuse: (error, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { "x-request-id": reply.request.id });
    reply.raw.end(encodeWireFailure(wireCode(error)));
  },
  lastFrame: (error) => encodeWireFailure(wireCode(error)),
};

export function addLlavaRoutes(
  app: FastifyInstance,
  parts: {
    readonly registry: Registry;
    readonly fleet: Fleet;
    readonly relay: Relay;
    readonly streams: OpenStreams;
    readonly limits: RelayLimits;
    readonly metrics: ControllerMetrics;
  },
): void {
  const { registry, fleet } = parts;
  app.post("/register_worker", { config: { role: "cluster" } }, async (request, reply) => {
    await fleet.register(parseRegisterWorker(jsonOfBody(request)));
    return sendJson(reply, null);
  });
  app.post("/refresh_all_workers", { config: { role: "admin" } }, async (_request, reply) => {
    await fleet.refresh();
    return sendJson(reply, null);
  });
  app.post("/list_models", { config: { role: "user" } }, async (_request, reply) =>
    sendJson(reply, { models: registry.models }),
  );
  app.post("/get_worker_address", { config: { role: "user" } }, async (request, reply) => {
    const { model } = parseAddressRequest(jsonOfBody(request));
    return sendJson(reply, { address: registry.assign(model)?.address ?? "" });
  });
  app.post("/receive_heart_beat", { config: { role: "cluster" } }, async (request, reply) => {
    return sendJson(reply, { exist: fleet.heartBeat(parseHeartBeat(jsonOfBody(request))) });
  });
  app.post("/deregister_worker", { config: { role: "cluster" } }, async (request, reply) => {
    return sendJson(reply, {
      removed: fleet.deregister(parseDeregisterWorker(jsonOfBody(request))),
    });
  });
  app.post("/worker_get_status", { config: { role: "user" } }, async (_request, reply) =>
    sendJson(reply, await fleet.status()),
  );
  const bodyLimit = MAX_RELAYED_BODY_BYTES;
  app.post(
    "/worker_generate_stream",
    { bodyLimit, config: { role: "user" } },
    relayHandler(parts, LLAVA_ENDPOINT),
  );
}

/** Throws for another status than 200, with which a worker sends no frames; its own sentence, if it has one, is the reason. */
function refuseStatus(answer: RelayedAnswer): void {
  if (answer.status === 200) return;
  const sentence = `The worker answered HTTP ${answer.status}.`;
  throw errorIn(textOfFirst(answer)) ?? new LlavaError("runtime_failure", sentence);
}

/** One of LLaVA's three codes: 2 there is no worker, 3 it cannot be reached, 1 it failed (`llava/serve/controller.py`). */
function wireCode({ code }: LlavaError): Exclude<WireErrorCode, 0> {
  if (code === "no_worker") return 2;
  return code === "worker_lost" || code === "timeout" || code === "shutting_down" ? 3 : 1;
}

/** Sends JSON for null too, which LLaVA's clients read and for which fastify sends nothing. */
function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return reply.type("application/json").send(JSON.stringify(value));
}
