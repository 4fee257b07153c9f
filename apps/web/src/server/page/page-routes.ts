/** Adds the page's own routes of packages/protocol/src/page/page-wire.ts: ask, listen, stop, vote. */
import { setTimeout } from "node:timers/promises";

import { principalOf } from "@llava/server";
import { LlavaError, REQUEST_ID_HEADER } from "@llava/protocol";
import type { PageEvent, PageStreamStarted } from "@llava/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";

import { ClusterWatch } from "./cluster-watch.ts";
import { watchTurn, type ConversationLog } from "../log/conversation-log.ts";
import type { Forwarder } from "../upstream/forward.ts";
import { listen } from "./listen.ts";
import { ModelWatch } from "./model-watch.ts";
import { PageStream } from "./page-stream.ts";
import { Sessions } from "./sessions.ts";
import { voteSchema } from "../log/vote.ts";

/** Most tabs of one browser. */
const MAX_LISTENERS = 8;

export interface PageParts {
  readonly forwarder: Forwarder;
  readonly conversations?: ConversationLog;
}

/** The header asks for comments on the worker's progress. */
const ASKING = { accept: "text/event-stream", "x-llava-progress": "1" };

/** Only the fields that this server needs; the worker checks all others. */
const chatSchema = z.looseObject({ model: z.string(), messages: z.array(z.unknown()) });

const config = { role: "user" } as const;

/** Time for the last events of stopped answers when the server stops, milliseconds. */
const LAST_EVENTS_TIMEOUT_MS = 1_000;

interface EventsRoute {
  readonly Querystring: { readonly after?: string; readonly cluster?: string };
}

interface Parts extends PageParts {
  readonly sessions: Sessions;
  readonly models: ModelWatch;
  readonly cluster: ClusterWatch;
  /** Answers that are being generated. */
  readonly running: Set<Promise<void>>;
}

export function addPageRoutes(app: FastifyInstance, { forwarder, conversations }: PageParts): void {
  const parts: Parts = {
    forwarder,
    sessions: new Sessions(),
    models: new ModelWatch(forwarder),
    cluster: new ClusterWatch(forwarder),
    running: new Set(),
    ...(conversations === undefined ? {} : { conversations }),
  };
  const open = addListening(app, parts);
  addAsking(app, parts);
  addVoting(app, parts);
  endTogether(app, parts, open);
}

/** Returns the set of open connections. */
function addListening(app: FastifyInstance, parts: Parts): ReadonlySet<FastifyReply["raw"]> {
  const { sessions, models, cluster } = parts;
  const open = new Set<FastifyReply["raw"]>();
  // A HEAD request would wait for the end of the stream.
  const route = { config, exposeHeadRoute: false };
  app.get<EventsRoute>("/api/events", route, async (request, reply) => {
    const session = sessions.of(request, reply);
    if (session.numListeners >= MAX_LISTENERS) throw tooManyTabs();
    open.add(reply.raw);
    reply.raw.once("close", () => open.delete(reply.raw));
    const { after, cluster: watched } = request.query;
    const watchesCluster = watched === "1" && isAdmin(request);
    listen(session, reply, typeof after === "string" ? after : null, [
      (publish) => models.watch(publish),
      ...(watchesCluster ? [(publish: (event: PageEvent) => void) => cluster.watch(publish)] : []),
    ]);
    return reply;
  });
  return open;
}

/** Addresses of workers are shown only to clients to which the controller would show them too. */
function isAdmin(request: FastifyRequest): boolean {
  const principal = principalOf(request);
  return principal !== null && (principal.isAdmin || (principal.kind === "anonymous" && principal.isLocal));
}

/** When the server stops, each answer ends with an event that says so, and then the connections end. */
function endTogether(app: FastifyInstance, parts: Parts, open: ReadonlySet<FastifyReply["raw"]>): void {
  const { sessions, models, cluster, running } = parts;
  app.addHook("preClose", async () => {
    models[Symbol.dispose]();
    cluster[Symbol.dispose]();
    sessions.stop(stopping());
    const timer = new AbortController();
    await Promise.race([
      Promise.all(running),
      setTimeout(LAST_EVENTS_TIMEOUT_MS, undefined, { ref: false, signal: timer.signal }).catch(
        () => undefined,
      ),
    ]);
    timer.abort();
    for (const response of open) response.end();
  });
}

function addAsking(app: FastifyInstance, parts: Parts): void {
  const { forwarder, conversations, sessions, models, running } = parts;
  app.post("/api/chat", { config }, async (request, reply): Promise<PageStreamStarted> => {
    const chat = chatSchema.safeParse(jsonOf(request));
    if (!chat.success) throw notAQuestion();
    const session = sessions.of(request, reply);
    if (session.isFull) throw tooManyAnswers();
    const stream = new PageStream((event) => {
      session.publish(event);
      if (event.type === "end" && event.end.kind === "failed") void models.look();
    });
    session.add(stream);
    const log = conversations === undefined ? undefined : watchTurn(conversations, request)(true);
    const body = JSON.stringify({ ...chat.data, stream: true, stream_options: { include_usage: true } });
    const headers = { ...ASKING, [REQUEST_ID_HEADER]: request.id };
    const sent = { method: "POST", path: "/v1/chat/completions", body, headers } as const;
    const run = stream
      .run((signal) => forwarder.ask({ ...sent, signal }), log?.push)
      .finally(() => {
        running.delete(run);
        log?.end();
      });
    running.add(run);
    return await reply.code(202).send({ stream: stream.id });
  });

  app.delete<{ Params: { readonly id: string } }>("/api/streams/:id", { config }, async (request, reply) => {
    sessions.find(request)?.find(request.params.id)?.stop();
    return await reply.code(204).send();
  });
}

function addVoting(app: FastifyInstance, { conversations }: Parts): void {
  app.post("/api/votes", { config }, (request, reply) => {
    const vote = voteSchema.safeParse(jsonOf(request));
    if (!vote.success) throw notAVote(vote.error);
    conversations?.vote(vote.data, request.ip);
    return reply.send({ stored: conversations !== undefined });
  });
}

function jsonOf(request: FastifyRequest): unknown {
  if (!String(request.headers["content-type"]).startsWith("application/json"))
    throw new LlavaError("unsupported_media_type", "Send JSON, with content-type: application/json.");
  try {
    return JSON.parse(Buffer.isBuffer(request.body) ? request.body.toString("utf8") : "");
  } catch (cause) {
    throw new LlavaError("invalid_request", "The body is not JSON.", { cause });
  }
}

function notAQuestion(): LlavaError {
  return new LlavaError(
    "invalid_request",
    "A question is a JSON object with a model and a list of messages.",
  );
}

function notAVote(cause: unknown): LlavaError {
  const sentence = "A vote has a type, one or two models, and a conversation for each.";
  return new LlavaError("invalid_request", sentence, { cause });
}

function stopping(): LlavaError {
  return new LlavaError("shutting_down", "The web server is stopping. Ask again in a moment.");
}

function tooManyAnswers(): LlavaError {
  return new LlavaError("rate_limited", "Eight answers are under way already. Stop one, or wait for it.");
}

function tooManyTabs(): LlavaError {
  const sentence = `The page is open in ${MAX_LISTENERS} tabs already. Close one.`;
  return new LlavaError("rate_limited", sentence);
}
