/** Runs the vision encoder beside the decoder, on the images that are needed next. */
import { requestError } from "../api/engine-error.ts";
import type { VisionEncoder } from "./vision-encoder.ts";
import type { FeatureCache } from "./feature-cache.ts";
import { imageFeatures } from "./image-features.ts";
import type { PromptImage, Sequence } from "../scheduler/sequence.ts";
import type { Value } from "@llava/runtime";

/** Most tiles of one run: more of them take as much longer, and the first image would wait for the last. */
const MOST_TILES = 4;

/** An image, and all sequences that wait for it. */
interface Job {
  readonly image: PromptImage;
  readonly sequences: Sequence[];
}

type TileEncoder = Pick<VisionEncoder, "bytes" | "encode"> & Disposable;

/**
 * A run of the encoder takes as long as many steps of the decoder. It has threads of its own, so that running answers get
 * their tokens meanwhile, if later.
 */
export class VisionQueue implements Disposable {
  readonly #encoder: TileEncoder;
  readonly #features: FeatureCache;
  #run: Promise<void> | undefined;

  constructor(encoder: TileEncoder, features: FeatureCache) {
    this.#encoder = encoder;
    this.#features = features;
  }

  /** The encoding that is under way; it never rejects. */
  get run(): Promise<void> | undefined {
    return this.#run;
  }

  /** Begins to encode the first of these images when none is being encoded; `onDone` is called when that ended. */
  begin(wanted: Iterable<readonly [Sequence, readonly PromptImage[]]>, onDone: () => void): void {
    if (this.#run) return;
    const jobs = firstJobs(wanted);
    if (jobs.length === 0) return;
    this.#run = this.#encode(jobs).finally(() => {
      this.#run = undefined;
      onDone();
    });
  }

  [Symbol.dispose](): void {
    this.#encoder[Symbol.dispose]();
  }

  /** A failed run ends the sequences that waited for it and no others. */
  async #encode(jobs: readonly Job[]): Promise<void> {
    const sequences = new Set(jobs.flatMap((job) => job.sequences));
    const startedAt = performance.now();
    for (const sequence of sequences) sequence.start(startedAt);
    using wanted = new AbortWhenAllAbort([...sequences].map(({ signal }) => signal));
    try {
      const features = await this.#encodeTiles(
        jobs.flatMap(({ image }) => tilesOf(image)),
        wanted.signal,
      );
      for (const { image } of jobs) this.#keep(image, features.splice(0, image.plan.tiles.length));
      for (const sequence of sequences) sequence.commitEncoded(performance.now() - startedAt);
    } catch (error) {
      for (const sequence of sequences) sequence.fail(requestError(error, sequence.signal));
    }
  }

  /** Tiles of several images share a run; those of a large image take several. */
  async #encodeTiles(tiles: readonly Float32Array[], signal: AbortSignal): Promise<Value[]> {
    using unfinished = new DisposableStack();
    const features: Value[] = [];
    for (let at = 0; at < tiles.length; at += MOST_TILES) {
      const run = await this.#encoder.encode(tiles.slice(at, at + MOST_TILES), signal);
      features.push(...run.map((value) => unfinished.use(value)));
    }
    unfinished.move();
    return features;
  }

  #keep({ key, plan }: PromptImage, tiles: readonly Value[]): void {
    const bytes = (this.#encoder.bytes / plan.tokensPerTile) * plan.numTokens;
    this.#features.add(key, imageFeatures(plan, tiles), bytes);
  }
}

/** The first images whose tiles share one run, or the first one alone when it has more tiles than that. */
function firstJobs(wanted: Iterable<readonly [Sequence, readonly PromptImage[]]>): readonly Job[] {
  const jobs = new Map<string, Job>();
  let tiles = 0;
  for (const [sequence, images] of wanted)
    for (const image of images) {
      const more = image.plan.tiles.length;
      const known = jobs.get(image.key);
      if (known) known.sequences.push(sequence);
      else if (jobs.size === 0 || tiles + more <= MOST_TILES) {
        jobs.set(image.key, { image, sequences: [sequence] });
        tiles += more;
      }
    }
  return [...jobs.values()];
}

/** [3, size, size] of each tile. */
function tilesOf({ pixels, plan }: PromptImage): readonly Float32Array[] {
  const length = pixels.length / plan.tiles.length;
  return plan.tiles.map((_, i) => pixels.subarray(i * length, (i + 1) * length));
}

/** A signal that aborts when all of the given ones have. */
class AbortWhenAllAbort implements Disposable {
  readonly #controller = new AbortController();
  readonly #signals: readonly AbortSignal[];
  readonly #check = (): void => {
    if (this.#signals.every(({ aborted }) => aborted)) this.#controller.abort();
  };

  constructor(signals: readonly AbortSignal[]) {
    this.#signals = signals;
    for (const signal of signals) signal.addEventListener("abort", this.#check, { once: true });
    this.#check();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const signal of this.#signals) signal.removeEventListener("abort", this.#check);
  }
}
