/**
 * The process in which strangers' images are decoded: what kills it costs one request and not the server. Prepares one
 * image at a time and knows nothing but its bytes; started by decode-pool.ts and by nobody else.
 */
import { LlavaError, toLlavaError, type ErrorCode } from "@llava/protocol";
import type { PixelDescription } from "../pixels.ts";
import { decodeImage, type ImageLimits } from "./decode-image.ts";
import { pixelValues } from "../pixels.ts";

/** What the parent sends. */
export interface ImageTask {
  /** The encoded file. */
  readonly bytes: Uint8Array;
  readonly description: PixelDescription;
  readonly limits: ImageLimits;
}

/** What the vision tower sees of an image. */
export interface PreparedImage {
  /** [3, size, size] */
  readonly values: Float32Array;
  /** Of the upright image, pixels. */
  readonly width: number;
  readonly height: number;
}

/** What it gets: first `ready`, then one of the others for each task. */
export type ImageReply =
  | { readonly type: "ready" }
  /** It has had all the time that it may have, and goes on until somebody ends the process. */
  | { readonly type: "late" }
  | ({ readonly type: "values" } & PreparedImage)
  | { readonly type: "refused"; readonly code: ErrorCode; readonly message: string };

function reply(message: ImageReply): void {
  process.send?.(message);
}

async function work({ bytes, description, limits }: ImageTask): Promise<void> {
  const clock = watchProcessor(limits.processorMs);
  try {
    const image = await decodeImage(bytes, limits);
    const { width, height } = image;
    reply({ type: "values", values: await pixelValues(image, description), width, height });
  } catch (thrown) {
    const { code, message } = thrown instanceof RangeError ? outOfMemory() : toLlavaError(thrown);
    reply({ type: "refused", code, message });
  } finally {
    clearInterval(clock);
  }
}

/** Native code that is under way cannot be stopped from here, so that the parent is told to end it all. */
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

const LOOK_MS = 100;

/** What a typed array says that cannot be had. The images' limits should not let it come to this. */
function outOfMemory(): LlavaError {
  return new LlavaError(
    "invalid_image",
    "The image is too large for the memory that there is for decoding. Make it smaller and send it again.",
  );
}

// Only the parent writes to this channel.
process.on("message", (task: ImageTask) => void work(task));
// Not exit(), which would wait for the decoder's threads: nobody is left to want what they do.
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
reply({ type: "ready" });
