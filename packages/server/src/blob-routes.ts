/** Adds `PUT` and `HEAD /v1/blobs/sha256:…`, which are the same on a controller and on a worker. */
import { isImageKey, LlavaError } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import type { BlobStore } from "./blob-store.ts";

interface BlobRoute {
  readonly Params: { readonly key: string };
}

/** A client with an image's hash may refer to it, whichever client uploaded it: only the image itself yields its hash. */
export function addBlobRoutes(app: FastifyInstance, store: Pick<BlobStore, "limits" | "has" | "put">): void {
  const config = { role: "user", accepts: ["image/*", "application/octet-stream"] } as const;
  app.put<BlobRoute>(
    "/v1/blobs/:key",
    { config, bodyLimit: store.limits.blobBytes },
    async ({ params, body }, reply) => {
      const key = requireKey(params.key);
      const isNew = await store.put(key, Buffer.isBuffer(body) ? body : Buffer.alloc(0));
      return reply.code(isNew ? 201 : 200).send({ key });
    },
  );
  app.head<BlobRoute>("/v1/blobs/:key", { config: { role: "user" } }, async ({ params }, reply) =>
    reply.code(store.has(requireKey(params.key)) ? 200 : 404).send(),
  );
}

function requireKey(key: string): string {
  if (isImageKey(key)) return key;
  throw new LlavaError(
    "invalid_request",
    `${JSON.stringify(key.slice(0, 80))} is no blob's name; it is sha256: and 64 hex digits in lower case.`,
  );
}
