/** Collects the model cards of all workers for `GET /v1/models`; each worker is asked once per registration. */
import { setTimeout as sleep } from "node:timers/promises";
import { createModelCard, type ModelCard } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import type { Worker } from "../registry/registry.ts";
import type { WorkerClient } from "./worker-client.ts";

/** How long the list waits for a worker that is silent; the next list has its answer. */
const CARDS_TIMEOUT_MS = 1_000;

export class ModelCards {
  readonly #client: WorkerClient;
  readonly #log: FastifyBaseLogger;
  /** The cards of each worker, or the request for them, by registration. */
  #known = new Map<number, Promise<readonly ModelCard[]>>();

  constructor(client: WorkerClient, log: FastifyBaseLogger) {
    this.#client = client;
    this.#log = log;
  }

  /** One card for each model, in the order of the workers; only the first of several that serve a model is asked. */
  async of(workers: readonly Worker[]): Promise<readonly ModelCard[]> {
    const present = new Set(workers.map(({ registration }) => registration));
    for (const registration of this.#known.keys()) {
      if (!present.has(registration)) this.#known.delete(registration);
    }
    const first = new Map<string, Worker>();
    for (const worker of workers.filter(({ state }) => state === "ready")) {
      for (const model of worker.models) if (!first.has(model)) first.set(model, worker);
    }
    const asked = [...new Set(first.values())].map(async (worker) => {
      const cards = await this.#cardsInTime(worker);
      return cards.filter(({ id }) => first.get(id) === worker);
    });
    return (await Promise.all(asked)).flat();
  }

  async #cardsInTime(worker: Worker): Promise<readonly ModelCard[]> {
    const over = new AbortController();
    const withoutAnswer = sleep(CARDS_TIMEOUT_MS, cardsByName(worker, []), { signal: over.signal });
    try {
      return await Promise.race([this.#cardsOf(worker), withoutAnswer]);
    } finally {
      over.abort();
    }
  }

  async #cardsOf(worker: Worker): Promise<readonly ModelCard[]> {
    const known = this.#known.get(worker.registration);
    const asked =
      known ?? this.#client.models(worker.address).then((cards) => cardsByName(worker, cards ?? []));
    this.#known.set(worker.registration, asked);
    try {
      return await asked;
    } catch (err) {
      this.#known.delete(worker.registration);
      this.#log.warn({ worker: worker.address, err }, "worker does not show its models");
      return cardsByName(worker, []);
    }
  }
}

/** A card for each model that the worker registered, its own where it sent one; requests to other models cannot reach it. */
function cardsByName(worker: Worker, cards: readonly ModelCard[]): readonly ModelCard[] {
  const now = Math.floor(Date.now() / 1000);
  return worker.models.map((name) => cards.find(({ id }) => id === name) ?? createModelCard(name, now));
}
