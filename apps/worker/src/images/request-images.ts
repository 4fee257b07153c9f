/** Reads a conversation's images: from the request itself, from earlier uploads, or from the network where that is allowed. */
import { BlobStore, principalOf } from "@llava/server";
import { LlavaError, imageParts, type ChatImagePart, type ChatRequest } from "@llava/protocol";
import type { FastifyRequest } from "fastify";
import type { FetchFor, ImageFetcher } from "./fetch/image-fetcher.ts";

export interface ImageSources {
  readonly blobs: BlobStore;
  /** Fetches images by their addresses; null where that is not allowed. */
  readonly fetcher: ImageFetcher | null;
}

export function uploadedOnly(): ImageSources {
  return { blobs: new BlobStore(), fetcher: null };
}

/** The files of a conversation's images, in order. @throws LlavaErrors `blob_missing`, `image_url_blocked` and of fetching */
export async function readImages(
  { messages }: Pick<ChatRequest, "messages">,
  sources: ImageSources,
  request: FastifyRequest,
  signal: AbortSignal,
): Promise<readonly Uint8Array[]> {
  const parts = imageParts(messages);
  const principal = principalOf(request);
  // A controller forwards the requests of all of its clients.
  const client = principal === null || principal.isPeer ? null : principal.name;
  const others = new AbortController();
  const either = AbortSignal.any([signal, others.signal]);
  const read = createReader(sources, { client, signal: either, log: request.log });
  try {
    return await Promise.all(parts.map(async (part) => await read(part)));
  } catch (thrown) {
    if (signal.aborted) throw new LlavaError("cancelled", "The client left before its images were there.");
    throw thrown;
  } finally {
    // The first failure ends the other downloads.
    others.abort();
  }
}

function createReader(
  { blobs, fetcher }: ImageSources,
  purpose: FetchFor,
): (part: ChatImagePart) => Promise<Uint8Array> {
  /** Downloads by address, so that an image that is shown twice is fetched once. */
  const fetches = new Map<string, Promise<Uint8Array>>();
  return async (part) => {
    if (part.type === "image") return part.bytes;
    if (part.type === "image_reference") return blobs.get(part.key) ?? missing(part.key, part.field);
    if (fetcher === null) throw notFetching(part.field);
    const fetching = fetches.get(part.url) ?? fetcher.fetch(part.url, purpose);
    fetches.set(part.url, fetching);
    return await fetching.catch((thrown: unknown) => rethrow(thrown, part.field));
  };
}

function missing(key: string, field: string): never {
  throw new LlavaError(
    "blob_missing",
    `The image ${key} is not here, or no longer. Upload it with PUT /v1/blobs/${key} and ask again.`,
    { param: field },
  );
}

function notFetching(field: string): LlavaError {
  return new LlavaError(
    "image_url_blocked",
    "This server fetches no images by their addresses. Send the image itself as data:image/…;base64,…, or start the worker with --allow-image-urls.",
    { param: field },
  );
}

/** The same refusal with the name of the field. */
function rethrow(thrown: unknown, field: string): never {
  if (!(thrown instanceof LlavaError)) throw thrown;
  throw new LlavaError(thrown.code, thrown.message, { cause: thrown.cause, param: field });
}
