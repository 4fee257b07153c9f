/** The page's own endpoints (packages/protocol/src/page-wire.ts): ask, listen, stop, vote. */
import { encodeSse, LlavaError, REQUEST_ID_HEADER, SSE_HEADERS, SSE_PING } from "@llava/protocol";
import type { PageEvent, PageStreamStarted } from "@llava/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";

import { watchTurn, type ConversationLog } from "./conversation-log.ts";
import type { Forwarder } from "./forward.ts";
import { ModelWatch } from "./model-watch.ts";
import { PageStream } from "./page-stream.ts";
import type { Session } from "./session.ts";
import { Sessions } from "./sessions.ts";
import { voteSchema } from "./vote.ts";

/** A proxy or a browser that hears nothing for longer may think that nobody is there. */
const PING_MS = 10_000;
/** A browser that is so far behind comes again and gets the whole at once. */
const MAX_UNSENT_BYTES = 4 << 20;
/** Tabs of one browser. */
const MAX_LISTENERS = 8;

export interface PageParts {
  readonly forwarder: Forwarder;
  readonly conversations?: ConversationLog;
}

/** Comments tell how far the worker is. */
const ASKING = { accept: "text/event-stream", "x-llava-progress": "1" };

/** Only what must be known here; everything else is the worker's to check. */
const chatSchema = z.looseObject({ model: z.string(), messages: z.array(z.unknown()) });

const config = { role: "user" } as const;

interface Parts extends PageParts {
  readonly sessions: Sessions;
  readonly models: ModelWatch;
}

export function addPageRoutes(app: FastifyInstance, { forwarder, conversations }: PageParts): void {
  const sessions = new Sessions();
  const tellAll = (event: PageEvent): void => {
    for (const session of sessions.all) if (session.isHeard) session.tell(event);
  };
  const models = new ModelWatch(forwarder, () => sessions.all.some(({ isHeard }) => isHeard), tellAll);
  const parts = { forwarder, sessions, models, ...(conversations === undefined ? {} : { conversations }) };
  addListening(app, parts);
  addAsking(app, parts);
  addVoting(app, parts);
}

function addListening(app: FastifyInstance, { sessions, models }: Parts): void {
  const open = new Set<FastifyReply["raw"]>();
  app.addHook("preClose", async () => {
    const stopping = new LlavaError("shutting_down", "The web server is stopping. Ask again in a moment.");
    for (const { streams } of sessions.all) for (const stream of streams) stream.stop(stopping);
    // The last words of each answer are on their way when the connections end.
    await new Promise((resolve) => setImmediate(resolve));
    for (const response of open) response.end();
    models[Symbol.dispose]();
    sessions[Symbol.dispose]();
  });
  // Who asks for the head alone would wait for its end.
  const route = { config, exposeHeadRoute: false };
  app.get<{ Querystring: { readonly after?: string } }>("/api/events", route, async (request, reply) => {
    const session = sessions.of(request, reply);
    if (session.numListeners >= MAX_LISTENERS) throw tooManyTabs();
    void models.look();
    const { after } = request.query;
    open.add(reply.raw);
    reply.raw.once("close", () => open.delete(reply.raw));
    listen(session, reply, typeof after === "string" ? after : null, models.last);
    return reply;
  });
}

function addAsking(app: FastifyInstance, { forwarder, conversations, sessions, models }: Parts): void {
  app.post("/api/chat", { config }, async (request, reply): Promise<PageStreamStarted> => {
    const chat = chatSchema.safeParse(jsonOf(request));
    if (!chat.success) throw notAQuestion();
    const session = sessions.of(request, reply);
    if (session.isFull) throw tooManyAnswers();
    const stream = new PageStream((event) => {
      session.tell(event);
      if (event.type === "end" && event.end.kind === "failed") void models.look();
    });
    session.add(stream);
    const log = conversations === undefined ? undefined : watchTurn(conversations, request)(true);
    const body = JSON.stringify({ ...chat.data, stream: true, stream_options: { include_usage: true } });
    const headers = { ...ASKING, [REQUEST_ID_HEADER]: request.id };
    const sent = { method: "POST", path: "/v1/chat/completions", body, headers } as const;
    const running = stream.run((signal) => forwarder.ask({ ...sent, signal }), log?.push);
    void running.finally(() => log?.end());
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

/** Writes the session's events until the browser leaves or falls too far behind. */
function listen(session: Session, reply: FastifyReply, after: string | null, models: PageEvent | null): void {
  reply.hijack();
  const { raw: response } = reply;
  for (const [name, value] of Object.entries({ ...reply.getHeaders(), ...SSE_HEADERS }))
    if (value !== undefined) response.setHeader(name, value);
  response.writeHead(200);
  const write = (frame: string): void => {
    if (response.writableLength > MAX_UNSENT_BYTES) response.destroy();
    else response.write(frame);
  };
  const leave = session.listen(write, after);
  if (models !== null) write(encodeSse(JSON.stringify(models)));
  const pinging = setInterval(() => write(SSE_PING), PING_MS);
  response.once("close", () => {
    clearInterval(pinging);
    leave();
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

function tooManyAnswers(): LlavaError {
  return new LlavaError("rate_limited", "Eight answers are under way already. Stop one, or wait for it.");
}

function tooManyTabs(): LlavaError {
  const sentence = `The page is open in ${MAX_LISTENERS} tabs already. Close one.`;
  return new LlavaError("rate_limited", sentence);
}
