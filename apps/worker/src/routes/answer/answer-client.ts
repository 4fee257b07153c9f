/** Sends an answer's frames at the speed at which its client reads, and notices when the client leaves. */
import { once } from "node:events";
import type { FastifyReply } from "fastify";

/** Time without a byte that the client takes, after which its connection is closed: its answer would be kept for ever. */
const STALLED_MS = 60_000;

/** Aborts when the client leaves before its answer is complete. */
export function clientSignal(reply: FastifyReply): AbortSignal {
  const client = new AbortController();
  // The response's close, not the request's: Node closes a request as soon as its body has been read.
  if (reply.raw.destroyed) client.abort();
  else
    reply.raw.once("close", () => {
      if (!reply.raw.writableFinished) client.abort();
    });
  return client.signal;
}

/**
 * Sends the reply's status and headers and then `frames`, pulling the next one only when the client has room for it.
 * Resolves when the answer is complete or `signal` (the client left) aborts.
 */
export async function sendFrames(
  reply: FastifyReply,
  frames: AsyncIterable<string>,
  signal: AbortSignal,
): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  raw.setTimeout(STALLED_MS, () => raw.destroy());
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) raw.setHeader(name, value);
  raw.writeHead(reply.statusCode);
  for await (const frame of frames) {
    if (signal.aborted) return;
    if (!raw.write(frame)) await once(raw, "drain", { signal }).catch(() => undefined);
  }
  raw.end();
}
