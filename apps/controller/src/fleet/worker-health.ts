/** Keeps a circuit breaker for each worker that has failed lately, beyond its registrations. */
import {
  admit,
  afterFailure,
  afterUndecided,
  afterSuccess,
  BREAKER_RULES,
  CLOSED,
  type Breaker,
} from "./breaker.ts";
import type { Worker } from "../registry/registry.ts";

/** The number of breakers that are kept: twice as many as the registry holds workers. */
const MAX_BREAKERS = 2048;

/** Call `admit` before each request to a worker, and after it exactly one of `succeeded`, `failed` and `undecided`. */
export class WorkerHealth {
  readonly #now: () => number;
  /** The breakers by the name of the worker's process; the one that changed longest ago first. */
  readonly #breakers = new Map<string, Breaker>();

  readonly #onChange: (worker: Worker, state: Breaker["state"]) => void;

  /** @param now monotonic milliseconds */
  constructor(
    now: () => number,
    onChange: (worker: Worker, state: Breaker["state"]) => void = () => undefined,
  ) {
    this.#now = now;
    this.#onChange = onChange;
  }

  stateOf(worker: Worker): Breaker["state"] {
    return this.#breakers.get(nameOf(worker))?.state ?? "closed";
  }

  /** What `admit` would return, without letting a request through. */
  wouldAdmit(worker: Worker): boolean {
    const breaker = this.#breakers.get(nameOf(worker));
    return breaker === undefined || admit(breaker, this.#now()) !== null;
  }

  admit(worker: Worker): boolean {
    const breaker = this.#breakers.get(nameOf(worker));
    if (breaker === undefined) return true;
    const admitted = admit(breaker, this.#now());
    if (admitted !== null) this.#keep(worker, admitted);
    return admitted !== null;
  }

  /** The worker answered, with whatever status. `failed` may follow when the answer breaks off. */
  succeeded(worker: Worker): void {
    const breaker = this.#breakers.get(nameOf(worker));
    if (breaker !== undefined) this.#keep(worker, afterSuccess(breaker, BREAKER_RULES));
  }

  failed(worker: Worker): void {
    const breaker = this.#breakers.get(nameOf(worker)) ?? CLOSED;
    this.#keep(worker, afterFailure(breaker, this.#now(), BREAKER_RULES));
  }

  /** The worker was full, or the client left before the worker had answered. */
  undecided(worker: Worker): void {
    const breaker = this.#breakers.get(nameOf(worker));
    if (breaker !== undefined) this.#keep(worker, afterUndecided(breaker));
  }

  #keep(worker: Worker, breaker: Breaker): void {
    const name = nameOf(worker);
    if (breaker.state !== this.stateOf(worker)) this.#onChange(worker, breaker.state);
    this.#breakers.delete(name);
    if (breaker === CLOSED) return;
    const oldest = this.#breakers.keys().next();
    if (this.#breakers.size >= MAX_BREAKERS && !oldest.done) this.#breakers.delete(oldest.value);
    this.#breakers.set(name, breaker);
  }
}

/** The name of a worker's process: a new process at the same address is another worker. */
function nameOf({ address, incarnation }: Worker): string {
  return `${address} ${incarnation ?? ""}`;
}
