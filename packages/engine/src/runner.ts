/** Computes a plan: the only place that runs the encoder and the decoder. */
import type { Value } from "@llava/runtime";
import type { Decoder } from "./decoder.ts";
import type { Encoder } from "./encoder.ts";
import type { Plan } from "./scheduler.ts";
import type { Sequence } from "./sequence.ts";

/** Logits of the sequences that got to the end of what they had: [vocabulary] each. */
export type Results = ReadonlyMap<Sequence, Float32Array>;

export class Runner implements Disposable {
  readonly #encoder: Encoder;
  readonly #decoder: Decoder;
  /** Features by sequence, one for each picture that was encoded. */
  readonly #features = new Map<Sequence, Value[]>();
  readonly #slots = new Map<Sequence, number>();

  constructor(encoder: Encoder, decoder: Decoder) {
    this.#encoder = encoder;
    this.#decoder = decoder;
  }

  get freeSlots(): number {
    return this.#decoder.cache.freeSlots;
  }

  /** Gives a sequence a slot with room for all that it may become. */
  admit(sequence: Sequence): void {
    const slot = this.#decoder.cache.take();
    if (slot === undefined) throw new Error("No slot is free.");
    this.#slots.set(sequence, slot);
    this.#decoder.reserve(sequence.capacity);
  }

  /** Takes back what a sequence held. */
  release(sequence: Sequence): void {
    const slot = this.#slots.get(sequence);
    if (slot === undefined) return;
    this.#slots.delete(sequence);
    this.#decoder.cache.release(slot);
    for (const value of this.#features.get(sequence) ?? []) value[Symbol.dispose]();
    this.#features.delete(sequence);
  }

  async run(plan: Plan): Promise<Results> {
    switch (plan.kind) {
      case "encode":
        await this.#encode(plan.sequence, plan.picture);
        return new Map();
      case "prefill":
        return await this.#prefill(plan.sequence, plan.from, plan.to);
      case "decode":
        return await this.#decode(plan.sequences);
    }
  }

  [Symbol.dispose](): void {
    for (const sequence of this.#slots.keys()) this.release(sequence);
    this.#decoder[Symbol.dispose]();
    this.#encoder[Symbol.dispose]();
  }

  async #encode(sequence: Sequence, index: number): Promise<void> {
    const picture = sequence.prompt.pictures[index];
    if (!picture) throw new Error(`The prompt has no picture ${index}.`);
    const features = await this.#encoder.encode(picture.pixels, sequence.signal);
    this.#features.set(sequence, [...(this.#features.get(sequence) ?? []), features]);
  }

  async #prefill(sequence: Sequence, from: number, to: number): Promise<Results> {
    const { pictures } = sequence.prompt;
    const ids = sequence.prefix;
    const touched = pictures.findIndex(({ start, tokens }) => start < to && start + tokens > from);
    const picture = pictures[touched];
    const rowAt = (position: number): number => {
      const row = picture ? position - picture.start : -1;
      return picture && row >= 0 && row < picture.tokens ? row : -1;
    };
    const isLast = to === ids.length;
    const logits = await this.#decoder.run(
      {
        ids: ids.slice(from, to),
        featureRows: Array.from({ length: to - from }, (_, i) => rowAt(from + i)),
        features: this.#features.get(sequence)?.[touched],
        past: from,
        // Even a chunk in the middle asks for one row: the graph's shapes never become empty.
        logitRows: [to - from - 1],
      },
      sequence.signal,
    );
    return new Map(isLast ? [[sequence, logits]] : []);
  }

  async #decode(sequences: readonly Sequence[]): Promise<Results> {
    const results = new Map<Sequence, Float32Array>();
    for (const sequence of sequences) {
      const chunk = {
        ids: [sequence.lastToken],
        featureRows: [-1],
        features: undefined,
        past: sequence.cachedTokens,
        logitRows: [0],
      };
      results.set(sequence, await this.#decoder.run(chunk, sequence.signal));
    }
    return results;
  }
}
