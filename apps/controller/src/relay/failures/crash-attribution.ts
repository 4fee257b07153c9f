/** Which request a lost worker is to be blamed on, apart from the relay, for which a lost worker is only one to leave. */
import type { Fleet } from "../../fleet/fleet.ts";
import { Quarantine } from "./poison-requests.ts";
import type { Worker } from "../../registry/registry.ts";

/** Beyond so many the oldest is forgotten. */
const MAX_LOST = 1_024;

type Body = Uint8Array;

export class Losses {
  readonly #fleet: Fleet;
  readonly #quarantine: Quarantine;
  /** By body: whether its workers were found gone, and noted. Another request with equal bytes has other ones. */
  readonly #noted = new WeakMap<Body, readonly Promise<void>[]>();
  /** By registration: how many requests a worker had when the first of them noticed that it was lost. */
  readonly #numRequests = new Map<number, number>();

  /** @param now monotonic milliseconds */
  constructor(fleet: Fleet, now: () => number) {
    this.#fleet = fleet;
    this.#quarantine = new Quarantine(now);
  }

  /** Call before a lost worker leaves the registry. */
  count({ address, registration }: Worker): void {
    const known = this.#fleet.get(address);
    if (known?.registration !== registration || this.#numRequests.has(registration)) return;
    this.#numRequests.set(registration, known.numLeases);
    const oldest = this.#numRequests.keys().next();
    if (this.#numRequests.size > MAX_LOST && !oldest.done) this.#numRequests.delete(oldest.value);
  }

  /**
   * The connection broke while the worker had this request. Of several that it had, one that it had already begun to answer
   * is less likely to be why than one that it had just been given.
   * @param isGone whether its process is
   */
  note(worker: Worker, body: Body, hasSpoken: boolean, isGone: Promise<boolean>): void {
    if (hasSpoken && this.#numRequests.get(worker.registration) !== 1) return;
    const victim = worker.incarnation ?? String(worker.registration);
    const noted = (async () => {
      if (await isGone) await this.#quarantine.blame(body, victim);
    })();
    this.#noted.set(body, [...(this.#noted.get(body) ?? []), noted]);
  }

  /** Throws `quarantined` when the body ends workers; one that lost its second one waits to hear whether they are gone. */
  async check(body: Body): Promise<void> {
    const noted = this.#noted.get(body) ?? [];
    if (noted.length === 1) return;
    await Promise.all(noted);
    await this.#quarantine.check(body);
  }

  /** The body was answered whole. */
  async served(body: Body): Promise<void> {
    await this.#quarantine.absolve(body);
  }
}
