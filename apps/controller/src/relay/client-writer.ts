/**
 * Writes an answer as fast as its client reads and not faster: one chunk waits for a slow reader, and then its worker waits.
 */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { LlavaError } from "@llava/protocol";

/** Throws the signal's reason, or `cancelled` when the client has read nothing for `stallMs`. */
export async function writeAll(
  response: ServerResponse,
  pieces: readonly Uint8Array[],
  signal: AbortSignal,
  stallMs: number,
): Promise<void> {
  signal.throwIfAborted();
  // One write for all of them, as each write is a chunk on the wire. Corking would send them too early: before the end of
  // the response, which may follow at once and then goes out with them.
  const whole = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
  if (whole === undefined || whole.length === 0) return;
  const hasRoom = response.write(whole);
  if (hasRoom || !response.writableNeedDrain) return;
  await withinStall(once(response, "drain", { signal }), stallMs, signal);
}

/** Ends the response; resolves when its last byte is handed over or its client is gone. Throws as `writeAll`. */
export async function endResponse(
  response: ServerResponse,
  signal: AbortSignal,
  stallMs: number,
): Promise<void> {
  if (response.destroyed || response.writableFinished) return;
  const finished = new Promise<void>((resolve) => {
    response.once("close", resolve);
    response.end(resolve);
  });
  await withinStall(finished, stallMs, signal);
}

async function withinStall(step: Promise<unknown>, stallMs: number, signal: AbortSignal): Promise<void> {
  const { promise: stalled, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new LlavaError("cancelled", `The client read nothing for ${stallMs / 1000} s.`)),
    stallMs,
  );
  try {
    await Promise.race([step, stalled]);
  } catch (thrown) {
    throw signal.aborted ? signal.reason : thrown;
  } finally {
    clearTimeout(timer);
    // A step that lost the race may still fail, which must not count as an unhandled rejection.
    step.catch(() => undefined);
  }
}
