/** The vision encoder at work beside the decoder, on the images that are needed next. */
import { requestError } from "../api/engine-error.ts";
import type { VisionEncoder } from "./vision-encoder.ts";
import type { FeatureCache } from "./feature-cache.ts";
import type { PromptImage, Sequence } from "../scheduler/sequence.ts";

/** Images of one run: more of them take as much longer, and the first would wait for the last. */
const MOST_IMAGES = 4;

/** An image, and everybody who waits for it. */
interface Job {
  readonly image: PromptImage;
  readonly sequences: Sequence[];
}

/**
 * A run of the encoder takes as long as many steps of the decoder. It has threads of its own, so that those who are
 * being answered get their tokens meanwhile, if later.
 */
export class VisionQueue implements Disposable {
  readonly #encoder: VisionEncoder;
  readonly #features: FeatureCache;
  #run: Promise<void> | undefined;

  constructor(encoder: VisionEncoder, features: FeatureCache) {
    this.#encoder = encoder;
    this.#features = features;
  }

  /** The run that is under way; it never rejects. */
  get run(): Promise<void> | undefined {
    return this.#run;
  }

  /** Begins a run on the first of these images when none is under way; `onDone` is called when it ended. */
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

  /** A failed run ends those who waited for it and nobody else. */
  async #encode(jobs: readonly Job[]): Promise<void> {
    const sequences = new Set(jobs.flatMap((job) => job.sequences));
    const startedAt = performance.now();
    for (const sequence of sequences) sequence.start(startedAt);
    using nobody = new AbortWhenAllAbort([...sequences].map(({ signal }) => signal));
    try {
      const pixels = jobs.map(({ image }) => image.pixels);
      const features = await this.#encoder.encode(pixels, nobody.signal);
      for (const [i, { image }] of jobs.entries()) {
        const value = features[i];
        if (value) this.#features.add(image.key, value, this.#encoder.bytes);
      }
      for (const sequence of sequences) sequence.commitEncoded(performance.now() - startedAt);
    } catch (error) {
      for (const sequence of sequences) sequence.fail(requestError(error, sequence.signal));
    }
  }
}

function firstJobs(wanted: Iterable<readonly [Sequence, readonly PromptImage[]]>): readonly Job[] {
  const jobs = new Map<string, Job>();
  for (const [sequence, images] of wanted)
    for (const image of images) {
      const known = jobs.get(image.key);
      if (known) known.sequences.push(sequence);
      else if (jobs.size < MOST_IMAGES) jobs.set(image.key, { image, sequences: [sequence] });
    }
  return [...jobs.values()];
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
