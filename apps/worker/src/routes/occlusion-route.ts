/** `POST /v1/occlusion_maps`: how much a word of an answer depends on each part of an image (packages/protocol/src/extensions/occlusion-wire.ts). */
import type { OcclusionEvent } from "@llava/backend";
import {
  encodeSse,
  encodeSseJson,
  errorBody,
  parseOcclusionMapRequest,
  SSE_DONE,
  SSE_HEADERS,
  SSE_PING,
  toLlavaError,
  type OcclusionMapEvent,
} from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import { clientSignal, sendFrames } from "./answer/answer-client.ts";
import { fromOcclusionMapRequest } from "./answer/to-backend-request.ts";
import { MAX_BODY_BYTES, requireModel } from "./answer/openai-answer.ts";
import { readImages } from "../images/request-images.ts";
import { IDLE, markIdle } from "./answer/keepalive.ts";
import type { WorkerService } from "../service/worker-service.ts";

/** Pause of the map after which a ping is sent, as in the streams of answers. */
const PING_MS = 10_000;

export function addOcclusionRoute(app: FastifyInstance, service: WorkerService): void {
  const options = { bodyLimit: MAX_BODY_BYTES, config: { role: "user" } } as const;
  app.post("/v1/occlusion_maps", options, async (request, reply) => {
    const asked = parseOcclusionMapRequest(request.body);
    requireModel(service, asked.model);
    const signal = clientSignal(reply);
    const images = await readImages(asked, service.images, request, signal);
    const events = service.occlusionMap(fromOcclusionMapRequest(asked, images), signal, request.log);
    const marked = markIdle(events, PING_MS);
    try {
      // What is refused is refused before the stream begins.
      const first = await marked.next();
      reply.headers(SSE_HEADERS);
      await sendFrames(reply, blocks(first, marked), signal);
      return reply;
    } finally {
      await marked.return(undefined);
    }
  });
}

type Marked = OcclusionEvent | typeof IDLE;

async function* blocks(first: IteratorResult<Marked>, rest: AsyncGenerator<Marked>): AsyncGenerator<string> {
  try {
    for (let next = first; !next.done; next = await rest.next())
      yield next.value === IDLE ? SSE_PING : encodeSseJson(wireEvent(next.value));
    yield encodeSse(SSE_DONE);
  } catch (thrown) {
    yield encodeSseJson(errorBody(toLlavaError(thrown)));
  }
}

function wireEvent(event: OcclusionEvent): OcclusionMapEvent {
  return event.type === "map" ? { type: "map", ...event.map } : event;
}
