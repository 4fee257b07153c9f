/**
 * Keeps connections to workers from one request to the next: to make one costs more than to relay a short answer. A worker
 * may close a kept one just when it is used again, which must not look like a dead worker.
 */
import { Client, type Dispatcher } from "undici";

/** How long a connection may take to open. A worker that is not there is noticed within it; a few lost packets pass. */
const CONNECT_TIMEOUT_MS = 2_000;
/** How long a connection is kept when its server announces no time; the shortest that servers are known for is 5 s. */
const KEEP_MS = 2_000;
/** The idle connections to one worker: as many as it is likely to write answers at once. */
const MAX_IDLE = 64;

export type WorkerRequest = Omit<Dispatcher.RequestOptions, "origin" | "path" | "headers" | "body"> & {
  /** Makes the headers; called again for a request that is sent again, as a worker takes no signature twice. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Makes the body; called again for a request that is sent again. */
  readonly body?: () => Exclude<Dispatcher.RequestOptions["body"], undefined>;
};

export class WorkerConnections {
  /** The idle connections by origin; the one used last is the last. */
  readonly #idle = new Map<string, Client[]>();
  readonly #open = new Set<Client>();
  readonly #isLost: (thrown: unknown) => boolean;

  /** @param isLost whether an error means that a connection broke */
  constructor(isLost: (thrown: unknown) => boolean) {
    this.#isLost = isLost;
  }

  /** Resolves when the answer's head is here. A request has its connection alone until the answer was read or destroyed. */
  async request(url: string, request: WorkerRequest): Promise<Dispatcher.ResponseData> {
    const { origin, pathname, search } = new URL(url);
    const path = pathname + search;
    const kept = this.#takeIdle(origin);
    if (kept === null) return await this.#send(this.#connect(origin), origin, path, request);
    try {
      return await this.#send(kept, origin, path, request);
    } catch (thrown) {
      if (!this.#isLost(thrown)) throw thrown;
      // No byte of an answer was here. Either the worker had closed the connection before, or the next one fails too, and
      // then the first error is the one that has the reason.
      return await this.#send(this.#connect(origin), origin, path, request).catch((again: unknown) => {
        throw this.#isLost(again) ? thrown : again;
      });
    }
  }

  /** Ends the requests that are under way. */
  async close(): Promise<void> {
    await Promise.all([...this.#open].map((client) => this.#end(client)));
  }

  async #send(
    client: Client,
    origin: string,
    path: string,
    { headers, body, ...request }: WorkerRequest,
  ): Promise<Dispatcher.ResponseData> {
    try {
      const response = await client.request({
        ...request,
        path,
        ...(headers && { headers: headers() }),
        ...(body && { body: body() }),
      });
      response.body.once("close", () => {
        if (response.body.readableEnded) this.#keep(origin, client);
        else void this.#end(client);
      });
      return response;
    } catch (thrown) {
      void this.#end(client);
      throw thrown;
    }
  }

  #connect(origin: string): Client {
    const client = new Client(origin, {
      allowH2: false,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      keepAliveTimeout: KEEP_MS,
    });
    this.#open.add(client);
    client.on("disconnect", () => {
      const idle = this.#idle.get(origin) ?? [];
      const at = idle.indexOf(client);
      if (at < 0) return;
      idle.splice(at, 1);
      if (idle.length === 0) this.#idle.delete(origin);
      void this.#end(client);
    });
    return client;
  }

  #takeIdle(origin: string): Client | null {
    const idle = this.#idle.get(origin);
    const client = idle?.pop() ?? null;
    if (idle?.length === 0) this.#idle.delete(origin);
    return client;
  }

  #keep(origin: string, client: Client): void {
    const idle = this.#idle.get(origin) ?? [];
    const isClosed = client.closed || client.destroyed || !client.stats.connected;
    if (isClosed || idle.length >= MAX_IDLE) return void this.#end(client);
    idle.push(client);
    this.#idle.set(origin, idle);
  }

  async #end(client: Client): Promise<void> {
    this.#open.delete(client);
    await client.destroy().catch(() => undefined);
  }
}
