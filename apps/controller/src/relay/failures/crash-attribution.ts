/** Attributes the loss of a worker to one of the requests that it had, so that a request which crashes workers is found. */
import type { Fleet } from "../../fleet/fleet.ts";
import type { Worker } from "../../registry/registry.ts";
import { PoisonRequests } from "./poison-requests.ts";

/** The number of lost workers that are remembered; the oldest is dropped for the next one. */
const MAX_LOST = 1_024;

type Body = Uint8Array;

export class CrashAttribution {
  readonly #fleet: Fleet;
  readonly #poison: PoisonRequests;
  /** The losses that are being recorded, by body. Another request with equal bytes has another body and its own losses. */
  readonly #recording = new WeakMap<Body, readonly Promise<void>[]>();
  /** The number of requests that a lost worker had when the first of them noticed the loss, by registration. */
  readonly #numRequests = new Map<number, number>();

  /** @param now monotonic milliseconds */
  constructor(fleet: Fleet, now: () => number) {
    this.#fleet = fleet;
    this.#poison = new PoisonRequests(now);
  }

  /** Notes how many requests a lost worker has. Call before it leaves the registry. */
  countRequests({ address, registration }: Worker): void {
    const known = this.#fleet.get(address);
    if (known?.registration !== registration || this.#numRequests.has(registration)) return;
    this.#numRequests.set(registration, known.numLeases);
    const oldest = this.#numRequests.keys().next();
    if (this.#numRequests.size > MAX_LOST && !oldest.done) this.#numRequests.delete(oldest.value);
  }

  /**
   * Call when the connection broke while the worker had this request. Of several requests that it had, one that it had
   * already begun to answer is less likely to be the cause than one that it had just been given.
   * @param isGone whether its process is gone
   */
  attribute(worker: Worker, body: Body, hasStreamed: boolean, isGone: Promise<boolean>): void {
    if (hasStreamed && this.#numRequests.get(worker.registration) !== 1) return;
    const processName = worker.incarnation ?? String(worker.registration);
    const recording = (async () => {
      if (await isGone) await this.#poison.recordCrash(body, processName);
    })();
    this.#recording.set(body, [...(this.#recording.get(body) ?? []), recording]);
  }

  /**
   * Throws `quarantined` when the body crashes workers. A request that lost its second worker waits until it is known
   * whether their processes are gone.
   */
  async check(body: Body): Promise<void> {
    const recording = this.#recording.get(body) ?? [];
    if (recording.length === 1) return;
    await Promise.all(recording);
    await this.#poison.check(body);
  }

  /** Call when the body was answered whole. */
  async served(body: Body): Promise<void> {
    await this.#poison.clear(body);
  }
}
