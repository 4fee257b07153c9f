/** LLaVA's own endpoints, as its workers, web server and scripts call them: names, bodies and the fixed sentence are theirs. */
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
import { errorIn, textOfFirst, type Answer } from "../relay/relayed-answer.ts";
import { jsonOfBody, MAX_RELAYED_BODY_BYTES } from "../body/request-body.ts";
import type { ControllerMetrics } from "../controller-metrics.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Registry } from "../registry/registry.ts";
import { relayHandler, type Door } from "./relay-handler.ts";
import type { Relay, RelayLimits } from "../relay/relay.ts";
import type { Streams } from "../relay/open-streams.ts";

/** Failures are a frame with a code and the fixed sentence, in an answer with status 200; the reason is in the log. */
const LLAVA_DOOR: Door = {
  path: "/worker_generate_stream",
  framing: "wire",
  isAlwaysStream: true,
  // The original's clients know no comments; each frame is all of the text, so a seam would say nothing.
  seam: "",
  check: refuseStatus,
  // The wire's one code says nothing of whose fault it was.
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
    readonly streams: Streams;
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
    relayHandler(parts, LLAVA_DOOR),
  );
}

/** A worker that answers with another status than 200 sends no frames; its own sentence, if it has one, is the reason. */
function refuseStatus(answer: Answer): void {
  if (answer.status === 200) return;
  const sentence = `The worker answered HTTP ${answer.status}.`;
  throw errorIn(textOfFirst(answer)) ?? new LlavaError("runtime_failure", sentence);
}

/** LLaVA knows three reasons: 2 there is no worker, 3 it cannot be reached, 1 it failed. */
function wireCode({ code }: LlavaError): Exclude<WireErrorCode, 0> {
  if (code === "no_worker") return 2;
  return code === "worker_lost" || code === "timeout" || code === "shutting_down" ? 3 : 1;
}

/** Written by hand because a framework sends nothing for null, and LLaVA's clients read JSON. */
function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return reply.type("application/json").send(JSON.stringify(value));
}
