/** EngineLoop plans, runs and commits steps as long as a sequence waits or runs; only `run` is awaited. */
import { LlavaError, toLlavaError } from "@llava/protocol";
import type { VisionQueue } from "./runner/vision-queue.ts";
import { requestError } from "./api/engine-error.ts";
import { ChunkSizer } from "./scheduler/chunk-sizer.ts";
import { CacheLost, type Results, type ModelRunner } from "./runner/model-runner.ts";
import { type Plan, schedule, sequencesOf } from "./scheduler/scheduler.ts";
import type { PromptImage, Sequence } from "./scheduler/sequence.ts";

/** Waiting sequences whose images are encoded ahead of their turn; the features are in memory meanwhile. */
const MAX_ENCODED_AHEAD = 4;

export interface EngineLoopOptions {
  /** Most sequences that run at once. */
  readonly maxRunning: number;
  /** Whether tokens are guessed ahead for a sequence that runs alone. */
  readonly drafts: boolean;
}

export class EngineLoop {
  readonly #runner: ModelRunner;
  readonly #visionQueue: VisionQueue;
  readonly #chunkSizer: ChunkSizer;
  readonly #maxRunning: number;
  /** Sequences that are not admitted yet, by priority, then by arrival. */
  readonly #waiting: Sequence[] = [];
  /** Sequences that own a slot, by admission. */
  readonly #running: Sequence[] = [];
  /** Whether the step before gave tokens, so that the next may be a chunk of a prompt. */
  #isPromptsTurn = true;
  #loop: Promise<void> | undefined;
  #isLooping = false;
  /** Whether something happened that the loop may not have seen. */
  #isWoken = false;

  constructor(runner: ModelRunner, visionQueue: VisionQueue, { maxRunning, drafts }: EngineLoopOptions) {
    this.#runner = runner;
    this.#visionQueue = visionQueue;
    this.#maxRunning = maxRunning;
    this.#chunkSizer = new ChunkSizer({ drafts });
  }

  get running(): readonly Sequence[] {
    return this.#running;
  }

  get waiting(): readonly Sequence[] {
    return this.#waiting;
  }

  /** Resolves when nothing is computed any more, once every sequence that ran or waited has failed. */
  async end(): Promise<void> {
    await this.#visionQueue.run;
    await this.#loop;
  }

  add(sequence: Sequence): void {
    this.#waiting.push(sequence);
    // Requests do not come here in the order of their arrival: one with images is prepared for longer.
    this.#waiting.sort((a, b) => a.priority - b.priority || a.arrivedAt - b.arrivedAt);
    this.#wake();
  }

  /** Fails a sequence. One that runs gives its slot back when its step ends, which its signal hastens. */
  cancel(sequence: Sequence): void {
    sequence.fail(requestError(undefined, sequence.signal));
    remove(this.#waiting, sequence);
  }

  #wake(): void {
    this.#isWoken = true;
    if (!this.#isLooping) this.#loop = this.#run();
  }

  /** Runs steps until there is nothing to compute, even if the encoder still runs: its end wakes the loop again. */
  async #run(): Promise<void> {
    this.#isLooping = true;
    try {
      while (this.#isWoken) {
        this.#isWoken = false;
        for (let plan = await this.#plan(); plan; plan = await this.#plan()) await this.#step(plan);
      }
    } catch (error) {
      for (const sequence of this.#waiting.splice(0)) sequence.fail(toLlavaError(error));
      for (const sequence of this.#running) sequence.fail(toLlavaError(error));
      this.#releaseEnded();
    } finally {
      this.#isLooping = false;
    }
  }

  async #plan(): Promise<Plan | undefined> {
    this.#releaseEnded();
    this.#encodeAhead();
    await this.#admitWaiting();
    const isAnyDecoding = this.#running.some(({ isDecoding }) => isDecoding);
    return schedule(this.#running, {
      chunkTokens: this.#chunkSizer.chunkTokens(isAnyDecoding),
      draftTokens: this.#chunkSizer.draftTokens(),
      isPromptsTurn: this.#isPromptsTurn,
    });
  }

  #encodeAhead(): void {
    if (this.#visionQueue.run) return;
    const wanted: [Sequence, readonly PromptImage[]][] = [];
    for (const sequence of this.#waiting) {
      const images = this.#runner.missingImages(sequence);
      if (images.length > 0) wanted.push([sequence, images]);
      if (wanted.length === MAX_ENCODED_AHEAD) break;
    }
    this.#visionQueue.begin(wanted, () => this.#wake());
  }

  /**
   * Admits waiting sequences whose images are encoded, in their order. One prompt is computed at a time, so that the next
   * one finds in the cache what both have in common.
   */
  async #admitWaiting(): Promise<void> {
    while (this.#running.length < this.#maxRunning && this.#running.every(({ isDecoding }) => isDecoding)) {
      const sequence = this.#waiting.find((each) => this.#runner.missingImages(each).length === 0);
      if (!sequence || !(await this.#admit(sequence))) return;
    }
  }

  /** False when the sequence has to wait. One that can never run fails, and true lets the next one have its turn. */
  async #admit(sequence: Sequence): Promise<boolean> {
    try {
      if (!(await this.#runner.admit(sequence))) return false;
      remove(this.#waiting, sequence);
      this.#running.push(sequence);
    } catch (error) {
      if (error instanceof CacheLost && this.#running.length > 0) this.#requeueAll();
      else this.#drop(sequence, error);
    }
    return true;
  }

  /** Runs a plan and commits its results. A failed run ends the sequences of its plan and no others. */
  async #step(plan: Plan): Promise<void> {
    const startedAt = performance.now();
    try {
      if (!(await this.#runner.reserve(plan))) return this.#evictLast();
      const tokens = this.#commit(plan, await this.#runner.run(plan));
      this.#chunkSizer.record(plan, performance.now() - startedAt, tokens);
    } catch (error) {
      if (error instanceof CacheLost && this.#running.length > 1) return this.#requeueAll();
      for (const sequence of sequencesOf(plan)) this.#drop(sequence, error);
    }
    this.#isPromptsTurn = plan.kind !== "prefill";
  }

  /**
   * Writes the results of a run into its sequences; those that were cancelled take nothing, and one whose token cannot be
   * sampled fails alone. Returns how many tokens each got on average.
   */
  #commit(plan: Plan, results: Results): number {
    const now = performance.now();
    if (plan.kind === "prefill" && !plan.sequence.isDone) plan.sequence.commitCached(plan.to - plan.from);
    const draft = plan.kind === "verify" ? plan.draft : [];
    let count = 0;
    for (const [sequence, positions] of results) {
      try {
        count += takeTokens(sequence, positions, { kind: plan.kind, draft }, now);
      } catch (error) {
        this.#drop(sequence, error);
      }
    }
    return count / sequencesOf(plan).length;
  }

  /** Takes the slot of the sequence admitted last, which waits again, when memory does not hold all that run. */
  #evictLast(): void {
    const last = this.#running.at(-1);
    if (last && this.#running.length > 1) return this.#requeue(last);
    if (last) this.#drop(last, outOfCache());
  }

  /** Puts a running sequence back to wait. Its tokens stay; their keys and values are computed again. */
  #requeue(sequence: Sequence): void {
    remove(this.#running, sequence);
    this.#runner.release(sequence, true);
    sequence.evict();
    this.#waiting.unshift(sequence);
  }

  #requeueAll(): void {
    for (const sequence of this.#running.toReversed()) this.#requeue(sequence);
  }

  #drop(sequence: Sequence, error: unknown): void {
    const reason = error instanceof CacheLost ? error.cause : error;
    sequence.fail(requestError(reason, sequence.signal));
    remove(this.#waiting, sequence);
    remove(this.#running, sequence);
    this.#runner.release(sequence, sequence.signal.aborted);
  }

  /** Takes their slots, or their places in the queue, from sequences that ended. */
  #releaseEnded(): void {
    for (const sequence of this.#waiting.filter(({ isDone }) => isDone)) remove(this.#waiting, sequence);
    for (const sequence of this.#running.filter(({ isDone }) => isDone)) {
      remove(this.#running, sequence);
      this.#runner.release(sequence, true);
    }
  }
}

function remove(queue: Sequence[], sequence: Sequence): void {
  const index = queue.indexOf(sequence);
  if (index !== -1) queue.splice(index, 1);
}

function outOfCache(): LlavaError {
  return new LlavaError(
    "out_of_memory",
    "There is not enough memory for keys and values to continue this answer. Ask for a shorter one (max_tokens) or start a new conversation.",
  );
}

/** Commits the tokens of a step and returns how many: of a draft as many as are what the model samples. */
function takeTokens(
  sequence: Sequence,
  positions: readonly Float32Array[],
  { kind, draft }: { readonly kind: Plan["kind"]; readonly draft: readonly number[] },
  now: number,
): number {
  let count = 0;
  for (const [i, logits] of positions.entries()) {
    if (sequence.isDone) break;
    if (kind !== "prefill") sequence.commitCached(1);
    const token = sequence.sample(logits);
    sequence.commitToken(token, now);
    count += 1;
    // Logits behind a wrong guess are about another text.
    if (token.id !== draft[i]) break;
  }
  return count;
}
