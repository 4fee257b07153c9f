/** FetchSlots limits the downloads at a time of each client and of all; others wait in the order of their arrival. */

interface Waiter {
  readonly client: string | null;
  readonly start: () => void;
}

export class FetchSlots {
  readonly #perClient: number;
  readonly #all: number;
  readonly #running = new Map<string | null, number>();
  #numRunning = 0;
  #waiting: Waiter[] = [];

  constructor(perClient: number, all: number) {
    this.#perClient = perClient;
    this.#all = all;
  }

  /** A `client` of null has no limit of its own. Rejects with the signal's reason when it aborts before `work` begins. */
  async take<T>(client: string | null, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#hasRoom(client)) this.#count(client, 1);
    else await this.#wait(client, signal);
    try {
      return await work();
    } finally {
      this.#count(client, -1);
      this.#startNext();
    }
  }

  async #wait(client: string | null, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { client, start: resolve };
    const leave = (): void => {
      if (!this.#waiting.includes(waiter)) return;
      this.#waiting = this.#waiting.filter((other) => other !== waiter);
      reject(signal.reason);
    };
    this.#waiting.push(waiter);
    signal.addEventListener("abort", leave, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  #startNext(): void {
    const next = this.#waiting.find(({ client }) => this.#hasRoom(client));
    if (!next) return;
    this.#waiting = this.#waiting.filter((other) => other !== next);
    this.#count(next.client, 1);
    next.start();
  }

  #hasRoom(client: string | null): boolean {
    const own = client === null ? 0 : (this.#running.get(client) ?? 0);
    return this.#numRunning < this.#all && own < this.#perClient;
  }

  #count(client: string | null, change: 1 | -1): void {
    const own = (this.#running.get(client) ?? 0) + change;
    this.#numRunning += change;
    if (own === 0) this.#running.delete(client);
    else this.#running.set(client, own);
  }
}
