/**
 * Decodes, shrinks, hashes and previews images in a worker, so that the page scrolls and types meanwhile. It runs one
 * task at a time because eight photographs decoded at once would need a gigabyte.
 */
import { CLIP_MEAN, modelView } from "@llava/processing/view";
import type { SquareShape, Turns } from "@llava/processing/view";

import type { CropRect } from "./crop-rect.ts";
import type { ImageTask, PreparedImage, Refusal, TaskAnswer, TaskMessage } from "./image-tasks.ts";
import { decode } from "./decode-file.ts";
import { fitted } from "./send-size.ts";
import { sha256Hex } from "./sha256.ts";
import { sniff } from "./sniff.ts";
import type { Sniffed } from "./sniff.ts";

/** Largest PNG that is sent as it is, byte for byte. */
const MAX_UNTOUCHED_BYTES = 1024 * 1024;
/**
 * Most pixels of an image that is sent as PNG: up to there a PNG is small enough, and the edges of drawings stay
 * sharp.
 */
const MAX_PNG_PIXELS = 512 * 512;
/** Largest file that servers accept, 10 MiB (`IMAGE_LIMITS` of @llava/processing). */
const MAX_SENT_BYTES = 10 * 1024 * 1024;
/** Most pixels of the decoded file, 4 bytes each; more would exceed a phone's memory. */
const MAX_PIXELS = 120_000_000;
/** Greatest ratio of the longer side to the shorter one (`IMAGE_LIMITS`). */
const MAX_ASPECT = 200;
const JPEG_QUALITY = 0.9;

class Refused extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal, cause?: unknown) {
    super(refusal, { cause });
    this.refusal = refusal;
  }
}

async function prepare(file: Blob, cap: number | null): Promise<PreparedImage> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const sniffed = sniff(bytes);
  refuseByContent(sniffed);
  const { image, ...original } = await decode(file, sniffed, cap).catch((cause: unknown) => {
    throw new Refused(sniffed.kind === "heic" ? "heic" : "unreadable", cause);
  });
  try {
    const { width, height } = fitted(original.width, original.height, cap);
    refuseByShape(width, height);
    const canvas = draw(image, width, height, false);
    const isTransparent = sniffed.mayBeTransparent && hasTransparency(canvas);
    const isUntouched =
      sniffed.kind === "png" &&
      !sniffed.hasNotes &&
      !isTransparent &&
      bytes.length <= MAX_UNTOUCHED_BYTES &&
      width === original.width &&
      height === original.height;
    const blob = isUntouched
      ? new Blob([bytes], { type: "image/png" })
      : await encode(isTransparent ? draw(image, width, height, true) : canvas, isTransparent);
    return { ...(await named(blob)), width, height, original };
  } finally {
    image.close();
  }
}

function refuseByContent({ kind, isAnimated, size }: Sniffed): void {
  if (kind === "svg" || kind === "pdf" || kind === "video") throw new Refused(kind);
  if (isAnimated) throw new Refused("animation");
  if (size !== null && size.width * size.height > MAX_PIXELS) throw new Refused("too_many_pixels");
}

function refuseByShape(width: number, height: number): void {
  if (Math.max(width, height) > MAX_ASPECT * Math.min(width, height)) throw new Refused("too_narrow");
}

async function crop(blob: Blob, { left, top, width, height }: CropRect): Promise<PreparedImage> {
  refuseByShape(width, height);
  const image = await createImageBitmap(blob, left, top, width, height);
  const canvas = draw(image, width, height, false);
  image.close();
  return { ...(await named(await encode(canvas, false))), width, height, original: { width, height } };
}

/** Draws transparent images on white, as the servers do. */
function draw(
  image: ImageBitmap | VideoFrame,
  width: number,
  height: number,
  isOnWhite: boolean,
): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width, height);
  const context = contextOf(canvas);
  context.imageSmoothingQuality = "high";
  if (isOnWhite) {
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(image, 0, 0, width, height);
  return canvas;
}

function contextOf(canvas: OffscreenCanvas): OffscreenCanvasRenderingContext2D {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Refused("no_memory");
  return context;
}

function hasTransparency(canvas: OffscreenCanvas): boolean {
  const { data } = contextOf(canvas).getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return true;
  return false;
}

/** A newly encoded file has none of the camera's metadata on place and time. */
async function encode(canvas: OffscreenCanvas, wasTransparent: boolean): Promise<Blob> {
  const isPng = wasTransparent || canvas.width * canvas.height <= MAX_PNG_PIXELS;
  const blob = await canvas.convertToBlob(
    isPng ? { type: "image/png" } : { type: "image/jpeg", quality: JPEG_QUALITY },
  );
  if (blob.size > MAX_SENT_BYTES) throw new Refused("too_heavy");
  return blob;
}

async function named(blob: Blob): Promise<{ readonly blob: Blob; readonly key: string }> {
  return { blob, key: `sha256:${await sha256Hex(new Uint8Array(await blob.arrayBuffer()))}` };
}

async function view(blob: Blob, size: number, shape: SquareShape): Promise<ImageBitmap> {
  const bitmap = await createImageBitmap(blob).catch((cause: unknown) => {
    throw new Refused("unreadable", cause);
  });
  const { width, height } = bitmap;
  const { data } = contextOf(draw(bitmap, width, height, true)).getImageData(0, 0, width, height);
  bitmap.close();
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    rgb[to++] = data[from]!;
    rgb[to++] = data[from + 1]!;
    rgb[to++] = data[from + 2]!;
  }
  const target = { size, shape, mean: CLIP_MEAN };
  const [square = new Uint8Array()] = await modelView({ width, height, rgb }, target, ALONE);
  return await createImageBitmap(toImageData(square, size));
}

/** There is no other task in this thread to give way to. */
const ALONE: Turns = { isDue: false, rest: async () => undefined };

async function encodePixels(rgb: Uint8Array, size: number): Promise<PreparedImage> {
  const canvas = new OffscreenCanvas(size, size);
  contextOf(canvas).putImageData(toImageData(rgb, size), 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/png" });
  return { ...(await named(blob)), width: size, height: size, original: { width: size, height: size } };
}

function toImageData(rgb: Uint8Array, size: number): ImageData {
  const data = new Uint8ClampedArray(size * size * 4).fill(255);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4)
    data.set(rgb.subarray(from, from + 3), to);
  return new ImageData(data, size, size);
}

async function run(task: ImageTask): Promise<PreparedImage | ImageBitmap> {
  switch (task.kind) {
    case "prepare":
      return await prepare(task.file, task.cap);
    case "crop":
      return await crop(task.blob, task.rect);
    case "view":
      return await view(task.blob, task.size, task.shape);
    case "encode":
      return await encodePixels(task.rgb, task.size);
    default:
      return task satisfies never;
  }
}

async function answer({ id, task }: TaskMessage): Promise<void> {
  let reply: TaskAnswer;
  try {
    reply = { id, result: await run(task) };
  } catch (thrown) {
    reply = { id, refusal: thrown instanceof Refused ? thrown.refusal : "no_memory" };
  }
  const moved = "result" in reply && reply.result instanceof ImageBitmap ? [reply.result] : [];
  self.postMessage(reply, { transfer: moved });
}

let last: Promise<void> = Promise.resolve();
self.addEventListener("message", ({ data }: MessageEvent<TaskMessage>) => {
  last = last.then(() => answer(data));
});
