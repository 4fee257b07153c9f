/**
 * Connections to workers, kept from one request to the next: to make one costs more than to relay a short answer. Apart
 * because a kept one may be closed by its worker just when it is used again, which must not look like a dead worker.
 */
import { Client, type Dispatcher } from "undici";

/** A worker that is not there is noticed in as much; three handshakes that got lost are not. */
const CONNECT_TIMEOUT_MS = 2_000;
/** Of one that says nothing of its own; the shortest that servers are known for is 5 s. */
const KEEP_MS = 2_000;
/** Of one worker; as many answers as it may well write at once. */
const MAX_IDLE = 64;

export type WorkerRequest = Omit<Dispatcher.RequestOptions, "origin" | "path" | "headers" | "body"> & {
  /** Called once more for a request that has to be sent again: a worker takes no signature twice. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Called once more for a body that has to be sent again. */
  readonly body?: () => Exclude<Dispatcher.RequestOptions["body"], undefined>;
};

export class WorkerConnections {
  /** By origin; the one used last is the last. */
  readonly #idle = new Map<string, Client[]>();
  readonly #open = new Set<Client>();
  readonly #isLost: (thrown: unknown) => boolean;

  /** @param isLost whether an error says that a connection broke */
  constructor(isLost: (thrown: unknown) => boolean) {
    this.#isLost = isLost;
  }

  /** Resolves when the answer's head is here. One request has one connection until its body was read or destroyed. */
  async request(url: string, request: WorkerRequest): Promise<Dispatcher.ResponseData> {
    const { origin, pathname, search } = new URL(url);
    const path = pathname + search;
    const kept = this.#takeIdle(origin);
    if (kept === null) return await this.#send(this.#connect(origin), origin, path, request);
    try {
      return await this.#send(kept, origin, path, request);
    } catch (thrown) {
      if (!this.#isLost(thrown)) throw thrown;
      // Nothing of an answer was here, so either its worker had closed it before, or the next one will fail too; then this
      // is the error that says what happened.
      return await this.#send(this.#connect(origin), origin, path, request).catch((again: unknown) => {
        throw this.#isLost(again) ? thrown : again;
      });
    }
  }

  /** Ends what is still under way. */
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
