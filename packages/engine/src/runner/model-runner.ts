/** ModelRunner gives sequences their slots of the KV cache and computes plans; it alone runs the decoder. */
import { LlavaError } from "@llava/protocol";
import type { Decoder } from "./decoder.ts";
import type { FeatureCache, Lease } from "./feature-cache.ts";
import { isOutOfMemory } from "../kv-cache/kv-cache.ts";
import type { CachedPrefix } from "../kv-cache/cached-prefix.ts";
import { CacheSlots } from "../kv-cache/slots.ts";
import { type Plan, sequencesOf } from "../scheduler/scheduler.ts";
import type { PromptImage, Sequence } from "../scheduler/sequence.ts";

/** Logits of the sequences that got to the end of what is known: [vocabulary] for each position that was asked about. */
export type Results = ReadonlyMap<Sequence, readonly Float32Array[]>;

/** What the caches hold. The counts of what is in use are 0 when nothing runs. */
export interface Holdings {
  /** Slots of the KV cache. */
  readonly slots: number;
  /** Slots that running sequences own. */
  readonly slotsInUse: number;
  /** Positions of a slot. */
  readonly capacity: number;
  readonly keyValueBytes: number;
  readonly featureBytes: number;
  /** Images whose features running sequences have yet to read. */
  readonly featuresInUse: number;
}

/** The KV cache could not grow and is empty now: all running sequences must be computed again. */
export class CacheLost extends Error {
  override readonly name = "CacheLost";
}

export class ModelRunner implements Disposable {
  readonly slots = new CacheSlots();
  readonly #decoder: Decoder;
  readonly #features: FeatureCache;
  readonly #maxSlots: number;
  /** Whether slots keep the prefixes of sequences that ended. */
  readonly #keepsPrefixes: boolean;
  /** Features that a sequence's prompt goes on to need. */
  readonly #leases = new Map<Sequence, ReadonlyMap<PromptImage, Lease>>();

  constructor(decoder: Decoder, features: FeatureCache, maxSlots: number, keepsPrefixes: boolean) {
    this.#decoder = decoder;
    this.#features = features;
    this.#maxSlots = maxSlots;
    this.#keepsPrefixes = keepsPrefixes;
  }

  get holdings(): Holdings {
    const { slots, capacity, bytes } = this.#decoder.cache;
    return {
      slots,
      slotsInUse: this.slots.occupied,
      capacity,
      keyValueBytes: bytes,
      featureBytes: this.#features.bytes,
      featuresInUse: this.#features.inUse,
    };
  }

  /** Images whose features must be encoded before the sequence can be computed, by what the caches hold now. */
  missingImages(sequence: Sequence): readonly PromptImage[] {
    const images = sequence.imagesAfter(0).filter(({ key }) => !this.#features.has(key));
    if (images.length === 0) return images;
    const cached =
      this.slots.findSlot(neededPrefix(sequence))?.cached ?? this.slots.longestMatch(neededPrefix(sequence));
    return images.filter(({ start, tokens }) => start + tokens > cached);
  }

  /**
   * Gives the sequence a slot, with what the cache holds of its beginning. False when it has to wait for a slot, for memory
   * or for features. Throws `out_of_memory` when it can never have room, CacheLost when the running sequences lost theirs.
   */
  async admit(sequence: Sequence): Promise<boolean> {
    const wanted = neededPrefix(sequence);
    if (!(await this.#makeRoom(wanted, sequence.ids.length + 1))) return false;
    const assignment = this.slots.findSlot(wanted);
    if (!assignment) return false;
    const leases = this.#lease(sequence, assignment.cached);
    if (!leases) return false;
    this.#leases.set(sequence, leases);
    if (assignment.source !== undefined)
      await this.#decoder.cache.copySlot(assignment.source, assignment.slot);
    this.slots.assign(assignment.slot, sequence);
    sequence.admit(assignment.cached, performance.now());
    return true;
  }

  /** Takes back what a sequence held; its slot keeps what was computed, unless that cannot be trusted. */
  release(sequence: Sequence, isTrusted: boolean): void {
    for (const lease of this.#leases.get(sequence)?.values() ?? []) lease[Symbol.dispose]();
    this.#leases.delete(sequence);
    for (const { key, isMasked } of sequence.prompt.images) if (isMasked) this.#features.forget(key);
    this.#features.trim();
    const slot = this.slots.slotOf(sequence);
    if (slot !== undefined)
      this.slots.release(slot, isTrusted && this.#keepsPrefixes && !sequence.isEphemeral);
  }

  /** Makes room for what the plan adds. False when a sequence has to give up its slot first. Throws as `admit`. */
  async reserve(plan: Plan): Promise<boolean> {
    const added =
      plan.kind === "verify" ? 1 + plan.draft.length : plan.kind === "decode" ? 1 : plan.to - plan.from;
    const positions = Math.max(...sequencesOf(plan).map(({ cachedTokens }) => cachedTokens + added));
    if (positions <= this.#decoder.cache.capacity) return true;
    return await this.#resizeTo(positions, this.slots.occupied);
  }

  async run(plan: Plan): Promise<Results> {
    switch (plan.kind) {
      case "prefill":
        return await this.#prefill(plan.sequence, plan.from, plan.to);
      case "decode":
        return await this.#decode(plan.sequences);
      case "verify":
        return await this.#verify(plan.sequence, plan.draft);
    }
  }

  [Symbol.dispose](): void {
    this.#decoder[Symbol.dispose]();
    this.#features[Symbol.dispose]();
  }

  /** Makes a free slot of so many positions, preferably an empty one. */
  async #makeRoom(wanted: CachedPrefix, positions: number): Promise<boolean> {
    const { cache } = this.#decoder;
    const assignment = this.slots.findSlot(wanted);
    const isTakenOver = assignment?.source === undefined && (assignment?.cached ?? 0) > 0;
    const isEmpty = assignment !== undefined && this.slots.lengthOf(assignment.slot) === 0;
    const { count } = this.slots;
    const capacity = Math.max(cache.capacity, positions);
    if (!isTakenOver && !isEmpty) {
      const more = [2 * count, count + 1].map((slots) => Math.min(this.#maxSlots, Math.max(1, slots)));
      const slots = more.find((number) => number > count && cache.fits(number, capacity));
      if (slots !== undefined) {
        await this.#resize(slots, capacity);
        return true;
      }
    }
    const isRoom = assignment !== undefined && positions <= cache.capacity;
    const { occupied } = this.slots;
    if (isRoom || (await this.#resizeTo(positions, occupied + 1))) return true;
    if (occupied > 0) return false;
    const need = cache.describeNeed(1, positions);
    throw new LlavaError(
      "out_of_memory",
      `This request needs ${need}. Shorten it or start a new conversation; the server's operator may raise the limit (--kv-cache-mib).`,
    );
  }

  /** Resizes all slots to so many positions: as many slots as there are, or fewer down to `minSlots`, the last ones lost. */
  async #resizeTo(positions: number, minSlots: number): Promise<boolean> {
    for (let slots = Math.max(1, this.slots.count); slots >= Math.max(1, minSlots); slots--) {
      if (slots > this.#maxSlots || !this.#decoder.cache.fits(slots, positions)) continue;
      while (this.slots.taken > slots) await this.#move(this.slots.taken - 1, this.slots.firstFree);
      await this.#resize(slots, positions);
      return true;
    }
    return false;
  }

  async #resize(slots: number, positions: number): Promise<void> {
    try {
      await this.#decoder.resize(slots, positions);
    } catch (error) {
      this.slots.clear();
      if (isOutOfMemory(error))
        throw new CacheLost("The KV cache found no memory to grow.", { cause: error });
      throw error;
    }
    this.slots.setCount(slots);
  }

  /** Leases of the features of all images that are not in the KV cache, or undefined when some are not encoded. */
  #lease(sequence: Sequence, cached: number): ReadonlyMap<PromptImage, Lease> | undefined {
    using scope = new DisposableStack();
    const leases = new Map<PromptImage, Lease>();
    for (const image of sequence.imagesAfter(cached)) {
      const lease = this.#features.lease(image.key);
      if (!lease) return undefined;
      leases.set(image, scope.use(lease));
    }
    scope.move();
    return leases;
  }

  async #prefill(sequence: Sequence, from: number, to: number): Promise<Results> {
    const { ids } = sequence;
    const chunk = this.#chunk(sequence, ids.slice(from, to), from);
    // A chunk in the middle asks for the logits of one position, too, so that no shape of the graph is empty.
    const logits = await this.#decoder.prefill({ ...chunk, logitRows: [to - from - 1] }, sequence.signal);
    return new Map(to === ids.length ? [[sequence, [logits]]] : []);
  }

  async #verify(sequence: Sequence, draft: readonly number[]): Promise<Results> {
    const ids = [sequence.ids.at(-1) ?? 0, ...draft];
    const chunk = this.#chunk(sequence, ids, sequence.cachedTokens);
    const logitRows = ids.map((_, i) => i);
    const logits = await this.#decoder.prefill({ ...chunk, logitRows }, sequence.signal);
    const vocabulary = logits.length / ids.length;
    return new Map([[sequence, ids.map((_, i) => logits.subarray(i * vocabulary, (i + 1) * vocabulary))]]);
  }

  #chunk(sequence: Sequence, ids: readonly number[], past: number) {
    const image = ids.map((_, i) => sequence.imageAt(past + i)).find((found) => found !== undefined);
    const rowAt = (position: number): number => {
      const row = image ? position - image.start : -1;
      return image && row >= 0 && row < image.tokens ? row : -1;
    };
    const lease = image && this.#leases.get(sequence)?.get(image);
    if (image && !lease) throw new Error("The features of an image were released before they were read.");
    return {
      slot: this.#slotOf(sequence),
      ids,
      past,
      features: lease?.features,
      featureRows: ids.map((_, i) => rowAt(past + i)),
    };
  }

  async #decode(sequences: readonly Sequence[]): Promise<Results> {
    await this.#compact(sequences);
    const bySlot = new Map(sequences.map((sequence) => [this.#slotOf(sequence), sequence]));
    const firstSlot = Math.min(...bySlot.keys());
    const length = Math.max(...bySlot.keys()) - firstSlot + 1;
    const slots = Array.from({ length }, (_, i) => firstSlot + i);
    // A slot in between whose sequence does not decode computes a token that is not used, behind all that it holds.
    const ids = slots.map((slot) => bySlot.get(slot)?.ids.at(-1) ?? 0);
    const pasts = slots.map((slot) => this.slots.lengthOf(slot));
    const [alone] = sequences;
    const signal = sequences.length === 1 ? alone?.signal : undefined;
    const logits = await this.#decoder.decode({ firstSlot, ids, pasts }, signal);
    const vocabulary = logits.length / length;
    const at = (slot: number): Float32Array =>
      logits.subarray((slot - firstSlot) * vocabulary, (slot - firstSlot + 1) * vocabulary);
    return new Map([...bySlot].map(([slot, sequence]) => [sequence, [at(slot)]]));
  }

  /** Moves sequences until those that decode are neighbours, as far as others leave room. */
  async #compact(sequences: readonly Sequence[]): Promise<void> {
    for (;;) {
      const move = this.slots.compactionMove(sequences);
      if (!move) return;
      const { from, to, keep } = move;
      if (keep !== undefined) await this.#move(to, keep);
      await this.#move(from, to);
    }
  }

  async #move(from: number, to: number): Promise<void> {
    await this.#decoder.cache.copySlot(from, to);
    this.slots.move(from, to);
  }

  #slotOf(sequence: Sequence): number {
    const slot = this.slots.slotOf(sequence);
    if (slot === undefined) throw new Error("A sequence without a slot was to be computed.");
    return slot;
  }
}

/** The part of a sequence that need not be computed when the cache holds it: all but its last position, whose logits are wanted. */
function neededPrefix({ prefix, ids }: Sequence): CachedPrefix {
  return { ...prefix, length: ids.length - 1 };
}
