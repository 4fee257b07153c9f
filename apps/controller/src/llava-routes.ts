/** LLaVA's own endpoints, as its workers, web server and scripts call them: names, bodies and the fixed sentence are theirs. */
import {
  encodeWireFailure,
  LlavaError,
  parseAddressRequest,
  parseErrorBody,
  parseHeartBeat,
  parseRegisterWorker,
  type WireErrorCode,
} from "@llava/protocol";
import type { FastifyInstance, FastifyReply } from "fastify";
import { jsonOfBody, MAX_RELAYED_BODY_BYTES } from "./body.ts";
import type { Fleet } from "./fleet.ts";
import type { Registry } from "./registry.ts";
import { relayHandler, type Door } from "./relay-route.ts";
import type { Answer, Relay } from "./relay.ts";
import type { Streams } from "./streams.ts";

const NUL = 0;

/** Failures are a frame with a code and the fixed sentence, in an answer with status 200; the reason is in the log. */
const LLAVA_DOOR: Door = {
  path: "/worker_generate_stream",
  check: refuseStatus,
  delimiter: () => NUL,
  refuse: (error, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { "x-request-id": reply.request.id });
    reply.raw.end(encodeWireFailure(wireCode(error)));
  },
  breakOff: (error, response) => {
    response.end(encodeWireFailure(wireCode(error)));
  },
};

export function addLlavaRoutes(
  app: FastifyInstance,
  parts: {
    readonly registry: Registry;
    readonly fleet: Fleet;
    readonly relay: Relay;
    readonly streams: Streams;
  },
): void {
  const { registry, fleet, relay, streams } = parts;
  app.post("/register_worker", async (request, reply) => {
    await fleet.register(parseRegisterWorker(jsonOfBody(request)));
    return sendJson(reply, null);
  });
  app.post("/refresh_all_workers", async (_request, reply) => {
    await fleet.refresh();
    return sendJson(reply, null);
  });
  app.post("/list_models", async (_request, reply) => sendJson(reply, { models: registry.models }));
  app.post("/get_worker_address", async (request, reply) => {
    const { model } = parseAddressRequest(jsonOfBody(request));
    return sendJson(reply, { address: registry.lease(model)?.worker.address ?? "" });
  });
  app.post("/receive_heart_beat", async (request, reply) => {
    const { worker_name, queue_length } = parseHeartBeat(jsonOfBody(request));
    return sendJson(reply, { exist: registry.heartBeat(worker_name, queue_length) });
  });
  app.post("/worker_get_status", async (_request, reply) => sendJson(reply, await fleet.status()));
  const bodyLimit = MAX_RELAYED_BODY_BYTES;
  app.post("/worker_generate_stream", { bodyLimit }, relayHandler(relay, streams, LLAVA_DOOR));
}

/** A worker that answers with another status than 200 sends no frames; its own sentence, if it has one, is the reason. */
function refuseStatus(answer: Answer): void {
  if (answer.status === 200) return;
  const sentence = `The worker answered HTTP ${answer.status}.`;
  throw errorIn(answer.first) ?? new LlavaError("runtime_failure", sentence);
}

function errorIn(bytes: Uint8Array | null): LlavaError | null {
  try {
    return parseErrorBody(JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array())));
  } catch {
    return null;
  }
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
