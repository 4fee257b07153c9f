/** Writes a browser's stream of events, and ends it when the browser leaves or falls too far behind. */
import { encodeSseJson, SSE_HEADERS, SSE_PING } from "@llava/protocol";
import type { PageEvent } from "@llava/protocol";
import type { FastifyReply } from "fastify";

import type { Session } from "./browser-session.ts";

/** Interval of comments, milliseconds; a proxy or a browser may close a connection that is silent for longer. */
const PING_MS = 10_000;
/** Most unsent bytes; a browser that is further behind connects again and gets the whole state at once. */
const MAX_UNSENT_BYTES = 4 << 20;

/** A source of other events than those of answers; returns a function that ends it. */
type Source = (publish: (event: PageEvent) => void) => () => void;

/** Writes the events of the session and of other sources. */
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
  // The first events are not limited: their size is bounded by the session, and a browser that could not receive them
  // would connect again forever.
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
