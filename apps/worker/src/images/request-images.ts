/** Where a conversation's pictures come from: from the request itself, from what was uploaded before, from the network where that is allowed. */
import { BlobStore, callerOf } from "@llava/server";
import { LlavaError, pictureParts, type ChatPicturePart, type ChatRequest } from "@llava/protocol";
import type { FastifyRequest } from "fastify";
import type { FetchFor, ImageFetcher } from "./fetch/image-fetcher.ts";

export interface PictureSources {
  readonly blobs: BlobStore;
  /** Null fetches nothing. */
  readonly fetcher: ImageFetcher | null;
}

export function uploadedOnly(): PictureSources {
  return { blobs: new BlobStore(), fetcher: null };
}

/** The files of a conversation's pictures, in order. @throws LlavaErrors `blob_missing`, `image_url_blocked` and of fetching */
export async function readPictures(
  { messages }: Pick<ChatRequest, "messages">,
  sources: PictureSources,
  request: FastifyRequest,
  signal: AbortSignal,
): Promise<readonly Uint8Array[]> {
  const parts = pictureParts(messages);
  const caller = callerOf(request);
  // A controller asks for all of its clients.
  const client = caller === null || caller.isPeer ? null : caller.name;
  const others = new AbortController();
  const either = AbortSignal.any([signal, others.signal]);
  const read = createReader(sources, { client, signal: either, log: request.log });
  try {
    return await Promise.all(parts.map(async (part) => await read(part)));
  } catch (thrown) {
    if (signal.aborted) throw new LlavaError("cancelled", "The client left before its pictures were there.");
    throw thrown;
  } finally {
    // One that fails ends the rest.
    others.abort();
  }
}

function createReader(
  { blobs, fetcher }: PictureSources,
  asker: FetchFor,
): (part: ChatPicturePart) => Promise<Uint8Array> {
  /** One that is shown twice is fetched once. */
  const fetches = new Map<string, Promise<Uint8Array>>();
  return async (part) => {
    if (part.type === "image") return part.bytes;
    if (part.type === "image_reference") return blobs.get(part.key) ?? missing(part.key, part.field);
    if (fetcher === null) throw notFetching(part.field);
    const fetching = fetches.get(part.url) ?? fetcher.fetch(part.url, asker);
    fetches.set(part.url, fetching);
    return await fetching.catch((thrown: unknown) => rethrow(thrown, part.field));
  };
}

function missing(key: string, field: string): never {
  throw new LlavaError(
    "blob_missing",
    `The picture ${key} is not here, or no longer. Upload it with PUT /v1/blobs/${key} and ask again.`,
    { param: field },
  );
}

function notFetching(field: string): LlavaError {
  return new LlavaError(
    "image_url_blocked",
    "This server fetches no pictures by their addresses. Send the picture itself as data:image/…;base64,…, or start the worker with --allow-image-urls.",
    { param: field },
  );
}

/** The same refusal with the name of the field. */
function rethrow(thrown: unknown, field: string): never {
  if (!(thrown instanceof LlavaError)) throw thrown;
  throw new LlavaError(thrown.code, thrown.message, { cause: thrown.cause, param: field });
}
