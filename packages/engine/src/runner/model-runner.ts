/** Gives sequences their rows of the cache, and computes plans: the only place that runs the decoder. */
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

/** What the caches hold; of what is in use nothing may be left when nothing runs. */
export interface Holdings {
  /** CacheSlots of the KV cache, and those that running requests sit in. */
  readonly rows: number;
  readonly rowsInUse: number;
  /** Positions of a row. */
  readonly capacity: number;
  readonly keyValueBytes: number;
  readonly featureBytes: number;
  /** Images whose features running requests go on to read. */
  readonly featuresInUse: number;
}

/** The cache could not grow and is empty now: all that run must begin again. */
export class CacheLost extends Error {
  override readonly name = "CacheLost";
}

export class ModelRunner implements Disposable {
  readonly rows = new CacheSlots();
  readonly #decoder: Decoder;
  readonly #features: FeatureCache;
  readonly #mostRows: number;
  readonly #remembers: boolean;
  /** Features that a sequence's prompt goes on to need. */
  readonly #leases = new Map<Sequence, ReadonlyMap<PromptImage, Lease>>();

  constructor(decoder: Decoder, features: FeatureCache, mostRows: number, remembers: boolean) {
    this.#decoder = decoder;
    this.#features = features;
    this.#mostRows = mostRows;
    this.#remembers = remembers;
  }

  get holdings(): Holdings {
    const { rows, capacity, bytes } = this.#decoder.cache;
    return {
      rows,
      rowsInUse: this.rows.occupied,
      capacity,
      keyValueBytes: bytes,
      featureBytes: this.#features.bytes,
      featuresInUse: this.#features.inUse,
    };
  }

  /** Images whose features are needed before the sequence can be computed, as far as can be told now. */
  missingImages(sequence: Sequence): readonly PromptImage[] {
    const images = sequence.imagesAfter(0).filter(({ key }) => !this.#features.has(key));
    if (images.length === 0) return images;
    const cached =
      this.rows.findSlot(neededPrefix(sequence))?.cached ?? this.rows.longestMatch(neededPrefix(sequence));
    return images.filter(({ start, tokens }) => start + tokens > cached);
  }

  /**
   * Gives the sequence a row, with what is remembered of its beginning. False when it has to wait: for a row, for memory,
   * or for features. Throws `out_of_memory` when it can never have room, CacheLost when those that run lost theirs.
   */
  async admit(sequence: Sequence): Promise<boolean> {
    const wanted = neededPrefix(sequence);
    if (!(await this.#makeRoom(wanted, sequence.ids.length + 1))) return false;
    const assignment = this.rows.findSlot(wanted);
    if (!assignment) return false;
    const leases = this.#lease(sequence, assignment.cached);
    if (!leases) return false;
    this.#leases.set(sequence, leases);
    if (assignment.source !== undefined) await this.#decoder.cache.copyRow(assignment.source, assignment.row);
    this.rows.assign(assignment.row, sequence);
    sequence.admit(assignment.cached, performance.now());
    return true;
  }

  /** Takes back what a sequence prefix; its row remembers what it computed, unless it cannot be trusted. */
  release(sequence: Sequence, isTrusted: boolean): void {
    for (const lease of this.#leases.get(sequence)?.values() ?? []) lease[Symbol.dispose]();
    this.#leases.delete(sequence);
    for (const { key, isMasked } of sequence.prompt.images) if (isMasked) this.#features.forget(key);
    this.#features.trim();
    const row = this.rows.rowOf(sequence);
    if (row !== undefined) this.rows.release(row, isTrusted && this.#remembers && !sequence.isEphemeral);
  }

  /** Makes room for what the plan adds. False when there is none, unless somebody gives up a row. Throws as `admit`. */
  async reserve(plan: Plan): Promise<boolean> {
    const added =
      plan.kind === "verify" ? 1 + plan.draft.length : plan.kind === "decode" ? 1 : plan.to - plan.from;
    const positions = Math.max(...sequencesOf(plan).map(({ cachedTokens }) => cachedTokens + added));
    if (positions <= this.#decoder.cache.capacity) return true;
    return await this.#resizeTo(positions, this.rows.occupied);
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

  /** A free row of so many positions, preferably one that remembers nothing. */
  async #makeRoom(wanted: CachedPrefix, positions: number): Promise<boolean> {
    const { cache } = this.#decoder;
    const assignment = this.rows.findSlot(wanted);
    const isTakenOver = assignment?.source === undefined && (assignment?.cached ?? 0) > 0;
    const isEmpty = assignment !== undefined && this.rows.lengthOf(assignment.row) === 0;
    const { count } = this.rows;
    const capacity = Math.max(cache.capacity, positions);
    if (!isTakenOver && !isEmpty) {
      const more = [2 * count, count + 1].map((rows) => Math.min(this.#mostRows, Math.max(1, rows)));
      const rows = more.find((number) => number > count && cache.fits(number, capacity));
      if (rows !== undefined) {
        await this.#resize(rows, capacity);
        return true;
      }
    }
    const isRoom = assignment !== undefined && positions <= cache.capacity;
    const { occupied } = this.rows;
    if (isRoom || (await this.#resizeTo(positions, occupied + 1))) return true;
    if (occupied > 0) return false;
    const need = cache.describeNeed(1, positions);
    throw new LlavaError(
      "out_of_memory",
      `This request needs ${need}. Shorten it or start a new conversation; whoever runs the server may raise the limit.`,
    );
  }

  /** CacheSlots of so many positions: as many as there are, or fewer down to `leastRows` by forgetting what the last remember. */
  async #resizeTo(positions: number, leastRows: number): Promise<boolean> {
    for (let rows = Math.max(1, this.rows.count); rows >= Math.max(1, leastRows); rows--) {
      if (rows > this.#mostRows || !this.#decoder.cache.fits(rows, positions)) continue;
      while (this.rows.taken > rows) await this.#move(this.rows.taken - 1, this.rows.firstFree);
      await this.#resize(rows, positions);
      return true;
    }
    return false;
  }

  async #resize(rows: number, positions: number): Promise<void> {
    try {
      await this.#decoder.resize(rows, positions);
    } catch (error) {
      this.rows.clear();
      if (isOutOfMemory(error))
        throw new CacheLost("The KV cache found no memory to grow.", { cause: error });
      throw error;
    }
    this.rows.setCount(rows);
  }

  /** The features of all images that are not in the cache, or undefined when some are not there. */
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
    // Even a chunk in the middle asks for one row: the graph's shapes never become empty.
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
    if (image && !lease) throw new Error("The features of an image were given back before they were read.");
    return {
      row: this.#rowOf(sequence),
      ids,
      past,
      features: lease?.features,
      featureRows: ids.map((_, i) => rowAt(past + i)),
    };
  }

  async #decode(sequences: readonly Sequence[]): Promise<Results> {
    await this.#arrange(sequences);
    const byRow = new Map(sequences.map((sequence) => [this.#rowOf(sequence), sequence]));
    const firstRow = Math.min(...byRow.keys());
    const length = Math.max(...byRow.keys()) - firstRow + 1;
    const rows = Array.from({ length }, (_, i) => firstRow + i);
    // A row in between whose sequence does not decode computes a token for nobody, behind all that it holds.
    const ids = rows.map((row) => byRow.get(row)?.ids.at(-1) ?? 0);
    const pasts = rows.map((row) => this.rows.lengthOf(row));
    const [alone] = sequences;
    const signal = sequences.length === 1 ? alone?.signal : undefined;
    const logits = await this.#decoder.decode({ firstRow, ids, pasts }, signal);
    const vocabulary = logits.length / length;
    const at = (row: number): Float32Array =>
      logits.subarray((row - firstRow) * vocabulary, (row - firstRow + 1) * vocabulary);
    return new Map([...byRow].map(([row, sequence]) => [sequence, [at(row)]]));
  }

  /** Moves sequences until those that decode are neighbours, as far as others leave room. */
  async #arrange(sequences: readonly Sequence[]): Promise<void> {
    for (let move = this.rows.compactionMove(sequences); move; move = this.rows.compactionMove(sequences)) {
      const { from, to, keep } = move;
      if (keep !== undefined) await this.#move(to, keep);
      await this.#move(from, to);
    }
  }

  async #move(from: number, to: number): Promise<void> {
    await this.#decoder.cache.copyRow(from, to);
    this.rows.move(from, to);
  }

  #rowOf(sequence: Sequence): number {
    const row = this.rows.rowOf(sequence);
    if (row === undefined) throw new Error("A sequence without a row was to be computed.");
    return row;
  }
}

/** What of a sequence may be in the cache already: all but its last position, which must be computed for its logits. */
function neededPrefix({ prefix, ids }: Sequence): CachedPrefix {
  return { ...prefix, length: ids.length - 1 };
}
