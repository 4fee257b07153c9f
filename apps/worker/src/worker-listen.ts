/** Lets the worker's server listen, with sentences for what can go wrong. */
import { LlavaError } from "@llava/protocol";
import type { FastifyInstance } from "fastify";
import type { WorkerFlags } from "./worker-options.ts";

/** @returns the port, which the system has chosen for port 0 */
export async function listen(
  app: FastifyInstance,
  { host, port }: Pick<WorkerFlags, "host" | "port">,
): Promise<number> {
  await app.listen({ host, port }).catch((cause: unknown) => {
    throw new LlavaError("invalid_request", listenFailure(host, port, cause), { cause });
  });
  const bound = app.addresses()[0];
  return typeof bound === "object" ? bound.port : port;
}

function listenFailure(host: string, port: number, cause: unknown): string {
  const reason = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  if (reason === "EADDRINUSE") return `Port ${port} is taken by another program. Choose another with --port.`;
  return `The worker cannot listen on ${host} port ${port} (${reason}). Check --host and --port.`;
}
