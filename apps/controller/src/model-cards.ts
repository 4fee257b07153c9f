/** The answer of `GET /v1/models`: each worker is asked once per registration. Apart because it remembers. */
import { createModelCard, type ModelCard } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import type { Worker } from "./registry.ts";
import type { WorkerClient } from "./worker-client.ts";

export class ModelCards {
  readonly #client: WorkerClient;
  readonly #log: FastifyBaseLogger;
  /** By registration. */
  #known = new Map<number, Promise<readonly ModelCard[]>>();

  constructor(client: WorkerClient, log: FastifyBaseLogger) {
    this.#client = client;
    this.#log = log;
  }

  /** One card per model, in the order of the workers; the first worker's card when several serve a model. */
  async of(workers: readonly Worker[]): Promise<readonly ModelCard[]> {
    const present = new Set(workers.map(({ registration }) => registration));
    for (const registration of this.#known.keys()) {
      if (!present.has(registration)) this.#known.delete(registration);
    }
    const cards = new Map<string, ModelCard>();
    for (const card of (await Promise.all(workers.map((worker) => this.#cardsOf(worker)))).flat()) {
      if (!cards.has(card.id)) cards.set(card.id, card);
    }
    return [...cards.values()];
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

/** A card for each model that the worker registered, its own one where it has one; others cannot be reached. */
function cardsByName(worker: Worker, cards: readonly ModelCard[]): readonly ModelCard[] {
  const now = Math.floor(Date.now() / 1000);
  return worker.models.map((name) => cards.find(({ id }) => id === name) ?? createModelCard(name, now));
}
