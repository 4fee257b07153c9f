/**
 * Reads headers of images and prepares images in a process of its own, one at a time: what kills it costs one request and
 * not the server. decode-pool.ts starts it.
 */
import { LlavaError, toLlavaError, type ErrorCode } from "@llava/protocol";
import type { TilePlan } from "../plans/plan-maker.ts";
import type { ImageSize } from "../plans/tile.ts";
import { type Normalisation, tileValues } from "../pixels.ts";
import { decodeImage } from "./decode-image.ts";
import { type ImageLimits, readImageHeader } from "./image-header.ts";

/** What the parent sends: an encoded file, and what it wants of it. */
export type ImageTask = {
  readonly bytes: Uint8Array;
  readonly limits: ImageLimits;
} & (
  | {
      readonly type: "header";
      /** The bytes are the beginning of a longer file. */
      readonly isStart: boolean;
    }
  | { readonly type: "tiles"; readonly plan: TilePlan; readonly normalisation: Normalisation }
);

/** What the parent gets: first `ready`, then one of the others for each task. */
export type ImageReply =
  | { readonly type: "ready" }
  /** The task has had all the time that it may have, and goes on until the parent ends the process. */
  | { readonly type: "late" }
  | ({ readonly type: "header" } & ImageSize)
  /** The beginning of the file does not hold its header. */
  | { readonly type: "incomplete" }
  /** values [tiles, 3, size, size] */
  | { readonly type: "tiles"; readonly values: Float32Array }
  | { readonly type: "refused"; readonly code: ErrorCode; readonly message: string };

/** How often the time of the processor is looked at. */
const LOOK_MS = 100;

function reply(message: ImageReply): void {
  process.send?.(message);
}

async function work(task: ImageTask): Promise<void> {
  const clock = watchProcessor(task.limits.processorMs);
  try {
    reply(await answer(task));
  } catch (thrown) {
    const { code, message } = thrown instanceof RangeError ? outOfMemory() : toLlavaError(thrown);
    reply({ type: "refused", code, message });
  } finally {
    clearInterval(clock);
  }
}

async function answer(task: ImageTask): Promise<ImageReply> {
  const { bytes, limits } = task;
  if (task.type === "header") {
    const size = readImageHeader(bytes, limits);
    // The whole file says what is wrong with it.
    const known = await (task.isStart ? size.catch(() => null) : size);
    return known === null ? { type: "incomplete" } : { type: "header", ...known };
  }
  const image = await decodeImage(bytes, limits);
  return { type: "tiles", values: await tileValues(image, task.plan, task.normalisation) };
}

/** Native code that is under way cannot be stopped from here, so that the parent has to end the process. */
function watchProcessor(limitMs: number): NodeJS.Timeout {
  const before = process.cpuUsage();
  const clock = setInterval(() => {
    const { user, system } = process.cpuUsage(before);
    if ((user + system) / 1000 < limitMs) return;
    clearInterval(clock);
    reply({ type: "late" });
  }, LOOK_MS);
  return clock;
}

/** For a typed array that cannot be allocated. The images' limits should not let it come to this. */
function outOfMemory(): LlavaError {
  return new LlavaError(
    "invalid_image",
    "The image is too large for the memory that there is for decoding. Make it smaller and send it again.",
  );
}

// Only the parent writes to this channel.
process.on("message", (task: ImageTask) => void work(task));
// Not exit(), which would wait for the decoder's threads, whose results no process would read.
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
reply({ type: "ready" });
