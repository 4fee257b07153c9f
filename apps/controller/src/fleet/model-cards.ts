/** The answer of `GET /v1/models`: each worker is asked once per registration. Apart because it remembers. */
import { setTimeout as sleep } from "node:timers/promises";
import { createModelCard, type ModelCard } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import type { Worker } from "../registry/registry.ts";
import type { WorkerClient } from "./worker-client.ts";

/** Who asks for the list waits no longer for a worker that says nothing; its answer is there for the next one. */
const PATIENCE_MS = 1_000;

export class ModelCards {
  readonly #client: WorkerClient;
  readonly #log: FastifyBaseLogger;
  /** By registration. */
  #known = new Map<number, Promise<readonly ModelCard[]>>();

  constructor(client: WorkerClient, log: FastifyBaseLogger) {
    this.#client = client;
    this.#log = log;
  }

  /** One card per model, in the order of the workers; of several that serve a model only the first is asked. */
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
    const patience = sleep(PATIENCE_MS, cardsByName(worker, []), { signal: over.signal });
    try {
      return await Promise.race([this.#cardsOf(worker), patience]);
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

/** A card for each model that the worker registered, its own one where it has one; others cannot be reached. */
function cardsByName(worker: Worker, cards: readonly ModelCard[]): readonly ModelCard[] {
  const now = Math.floor(Date.now() / 1000);
  return worker.models.map((name) => cards.find(({ id }) => id === name) ?? createModelCard(name, now));
}
