/** Which workers are left alone for a while because they keep failing: a breaker for each, remembered beyond registrations. */
import {
  admit,
  afterFailure,
  afterNothing,
  afterSuccess,
  BREAKER_RULES,
  CLOSED,
  type Breaker,
} from "./breaker.ts";
import type { Worker } from "../registry/registry.ts";

/** Only workers that have failed lately have an entry; twice as many as the registry holds workers. */
const MAX_BREAKERS = 2048;

/** Ask `admit` before each request to a worker, and tell how the request went by exactly one of the other three. */
export class WorkerHealth {
  readonly #now: () => number;
  /** The one that was touched longest ago first. */
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

  /** What `admit` would say, without asking. */
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

  /** It answered, whatever it said. May be followed by `failed` when the answer breaks off. */
  succeeded(worker: Worker): void {
    const breaker = this.#breakers.get(nameOf(worker));
    if (breaker !== undefined) this.#keep(worker, afterSuccess(breaker, BREAKER_RULES));
  }

  failed(worker: Worker): void {
    const breaker = this.#breakers.get(nameOf(worker)) ?? CLOSED;
    this.#keep(worker, afterFailure(breaker, this.#now(), BREAKER_RULES));
  }

  /** It was full, or the client left before it had said anything. */
  saidNothing(worker: Worker): void {
    const breaker = this.#breakers.get(nameOf(worker));
    if (breaker !== undefined) this.#keep(worker, afterNothing(breaker));
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

/** A new process at the same address is another worker. */
function nameOf({ address, incarnation }: Worker): string {
  return `${address} ${incarnation ?? ""}`;
}
