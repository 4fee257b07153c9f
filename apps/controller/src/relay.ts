/**
 * One request to one of the workers and its answer back, byte for byte: apart because both doors, LLaVA's and OpenAI's,
 * pass through here and differ only in what they say when a worker is lost.
 */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { LlavaError, toLlavaError } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import type { Fleet } from "./fleet.ts";
import { FrameBorder } from "./frame-border.ts";
import type { Lease, Worker } from "./registry.ts";
import { bytesOf, isConnectionFailure, isSilence, type WorkerClient } from "./worker-client.ts";

/** A client that reads nothing for this long is taken for gone. */
const DRAIN_TIMEOUT_MS = 60_000;
/** Answers with which a worker sends a request elsewhere. */
const BUSY_STATUSES: ReadonlySet<number> = new Set([429, 503]);
const RELAYED_HEADERS = [
  "cache-control",
  "content-length",
  "content-type",
  "retry-after",
  "retry-after-ms",
  "x-accel-buffering",
  "x-should-retry",
];

export interface RelayRequest {
  readonly model: string;
  /** The path on the worker. */
  readonly path: string;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** A worker's answer whose first byte is here. Close it in any case. */
export interface Answer {
  readonly worker: Worker;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Null when the body is empty. */
  readonly first: Uint8Array | null;
  readonly rest: AsyncGenerator<Uint8Array, void, undefined>;
  /** Ends the connection to the worker if it is still open and gives the lease back. */
  readonly close: () => Promise<void>;
}

export class Relay {
  readonly #fleet: Fleet;
  readonly #client: WorkerClient;

  constructor(fleet: Fleet, client: WorkerClient) {
    this.#fleet = fleet;
    this.#client = client;
  }

  /**
   * Chooses workers until one answers with a first byte. `no_worker` when none has the model, `worker_lost` when all that
   * have it failed, `timeout` when one said nothing for too long, the signal's reason when it aborts.
   */
  async open(request: RelayRequest, signal: AbortSignal, log: FastifyBaseLogger): Promise<Answer> {
    const tried = new Set<number>();
    let busy: Answer | null = null;
    for (
      let lease = this.#fleet.lease(request.model);
      lease !== null;
      lease = this.#fleet.lease(request.model, tried)
    ) {
      tried.add(lease.worker.registration);
      const answer = await this.#ask(lease, request, signal, log);
      if (answer === null) continue;
      await busy?.close();
      if (!BUSY_STATUSES.has(answer.status)) return answer;
      busy = answer;
    }
    if (busy !== null) return busy;
    throw tried.size === 0 ? this.#noWorker(request.model) : allLost(request.model, tried.size);
  }

  /**
   * Writes an answer's head and body as fast as the client reads. `delimiter`: the byte that ends a frame, null for bodies
   * without frames. Throws like `open` when the worker is lost midway; whole frames have been written then.
   */
  async send(
    answer: Answer,
    response: ServerResponse,
    headers: Readonly<Record<string, string>>,
    delimiter: number | null,
    signal: AbortSignal,
  ): Promise<void> {
    response.writeHead(answer.status, { ...headersFor(answer, delimiter), ...headers });
    const border = delimiter === null ? null : new FrameBorder(delimiter);
    try {
      for (let chunk = answer.first; chunk !== null; chunk = await nextOf(answer.rest)) {
        await writeAll(response, border === null ? [chunk] : border.push(chunk), signal);
      }
      await writeAll(response, border?.rest() ?? [], signal);
    } catch (thrown) {
      throw this.#failure(thrown, answer.worker, signal);
    }
  }

  /** Null when the worker could not be reached or was lost before its first byte. */
  async #ask(
    lease: Lease,
    request: RelayRequest,
    signal: AbortSignal,
    log: FastifyBaseLogger,
  ): Promise<Answer | null> {
    const { worker } = lease;
    try {
      const { path, body, headers } = request;
      const response = await this.#client.post(worker.address, path, body, headers, signal);
      const rest = bytesOf(response.body);
      const first = await nextOf(rest);
      const close = async (): Promise<void> => {
        lease.release();
        await rest.return().catch(() => undefined);
      };
      return {
        worker,
        status: response.statusCode,
        headers: relayedHeaders(response.headers),
        first,
        rest,
        close,
      };
    } catch (thrown) {
      lease.release();
      const error = this.#failure(thrown, worker, signal);
      if (error.code !== "worker_lost") throw error;
      log.warn({ worker: worker.address, err: thrown }, "worker lost before its first byte");
      return null;
    }
  }

  /** What went wrong, as an error of the table; a broken connection makes the worker suspect. */
  #failure(thrown: unknown, worker: Worker, signal: AbortSignal): LlavaError {
    if (signal.aborted) return toLlavaError(signal.reason);
    if (thrown instanceof LlavaError) return thrown;
    if (isSilence(thrown)) {
      return new LlavaError("timeout", "The worker said nothing for too long; ask again.", { cause: thrown });
    }
    if (!isConnectionFailure(thrown)) return toLlavaError(thrown);
    void this.#fleet.suspect(worker);
    return new LlavaError("worker_lost", "The worker that wrote this answer was lost; ask again.", {
      cause: thrown,
    });
  }

  #noWorker(model: string): LlavaError {
    const name = JSON.stringify(model.slice(0, 80));
    const { models } = this.#fleet;
    const sentence =
      models.length === 0
        ? `No worker is there for the model ${name}, nor for any other; start one, or wait until it has loaded.`
        : `No worker serves the model ${name} now; there are: ${listOf(models)}.`;
    return new LlavaError("no_worker", sentence);
  }
}

function allLost(model: string, number: number): LlavaError {
  const who = number === 1 ? "The only worker" : `All ${number} workers`;
  return new LlavaError(
    "worker_lost",
    `${who} for the model ${JSON.stringify(model)} could not be reached; ask again.`,
  );
}

function listOf(models: readonly string[]): string {
  const shown = models.slice(0, 20).join(", ");
  return models.length > 20 ? `${shown} and ${models.length - 20} more` : shown;
}

async function nextOf(chunks: AsyncGenerator<Uint8Array, void, undefined>): Promise<Uint8Array | null> {
  const next = await chunks.next();
  return next.done === true ? null : next.value;
}

/** Waits whenever the client's buffer is full; throws the signal's reason, or `cancelled` when the client stops reading. */
async function writeAll(
  response: ServerResponse,
  chunks: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<void> {
  for (const chunk of chunks) {
    signal.throwIfAborted();
    if (response.write(chunk)) continue;
    const patience = AbortSignal.timeout(DRAIN_TIMEOUT_MS);
    try {
      await once(response, "drain", { signal: AbortSignal.any([signal, patience]) });
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      throw new LlavaError("cancelled", `The client read nothing for ${DRAIN_TIMEOUT_MS / 1000} s.`, {
        cause,
      });
    }
  }
}

function relayedHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string> {
  const relayed: Record<string, string> = {};
  for (const name of RELAYED_HEADERS) {
    const value = headers[name];
    if (typeof value === "string") relayed[name] = value;
  }
  return relayed;
}

/** A framed stream may get one more frame from us, so its length is not promised. */
function headersFor(answer: Answer, delimiter: number | null): Record<string, string> {
  const headers = { ...answer.headers };
  if (delimiter !== null) delete headers["content-length"];
  return headers;
}
