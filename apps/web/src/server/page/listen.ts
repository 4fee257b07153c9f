/** A browser's connection for events: what is written on it, and until when. */
import { encodeSseJson, SSE_HEADERS, SSE_PING } from "@llava/protocol";
import type { PageEvent } from "@llava/protocol";
import type { FastifyReply } from "fastify";

import type { Session } from "./browser-session.ts";

/** A proxy or a browser that hears nothing for longer may think that nobody is there. */
const PING_MS = 10_000;
/** A browser that is so far behind comes again and gets the whole at once. */
const MAX_UNSENT_BYTES = 4 << 20;

/** A source of events beside the answers; returns what ends it. */
type Source = (tell: (event: PageEvent) => void) => () => void;

/** Writes the session's events, and those of other sources, until the browser leaves or falls too far behind. */
export function listen(
  session: Session,
  reply: FastifyReply,
  after: string | null,
  sources: readonly Source[],
): void {
  reply.hijack();
  const { raw: response } = reply;
  for (const [name, value] of Object.entries({ ...reply.getHeaders(), ...SSE_HEADERS }))
    if (value !== undefined) response.setHeader(name, value);
  response.writeHead(200);
  // What it comes for is bounded by what the session keeps, and must pass or it would come again for ever.
  let most = Infinity;
  const write = (frame: string): void => {
    if (response.writableLength > most) response.destroy();
    else response.write(frame);
  };
  const ends = [
    session.listen(write, after),
    ...sources.map((source) => source((event) => write(encodeSseJson(event)))),
  ];
  most = response.writableLength + MAX_UNSENT_BYTES;
  const pinging = setInterval(() => write(SSE_PING), PING_MS);
  response.once("close", () => {
    clearInterval(pinging);
    for (const end of ends) end();
  });
}
