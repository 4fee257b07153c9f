/** The engine's loop: plan, run, commit, as long as somebody waits or runs; only `run` is awaited. */
import { LlavaError, toLlavaError } from "@llava/protocol";
import type { VisionQueue } from "./runner/vision-queue.ts";
import { requestError } from "./api/engine-error.ts";
import { ChunkSizer } from "./scheduler/chunk-sizer.ts";
import { CacheLost, type Results, type ModelRunner } from "./runner/model-runner.ts";
import { type Plan, schedule, sequencesOf } from "./scheduler/scheduler.ts";
import type { PromptImage, Sequence } from "./scheduler/sequence.ts";

/** Images of this many waiting requests are encoded ahead; their features are in memory until it is their turn. */
const MOST_AHEAD = 4;

export class EngineLoop {
  readonly #runner: ModelRunner;
  readonly #encoding: VisionQueue;
  readonly #pace = new ChunkSizer();
  readonly #maxRunning: number;
  /** By arrival. */
  readonly #waiting: Sequence[] = [];
  /** By admission. */
  readonly #running: Sequence[] = [];
  /** The step before gave tokens: the next may be a prompt's. */
  #isPromptsTurn = true;
  #loop: Promise<void> | undefined;
  #isLooping = false;
  /** Something came that the loop may not have seen. */
  #isWoken = false;

  constructor(runner: ModelRunner, encoding: VisionQueue, maxRunning: number) {
    this.#runner = runner;
    this.#encoding = encoding;
    this.#maxRunning = maxRunning;
  }

  get running(): readonly Sequence[] {
    return this.#running;
  }

  get waiting(): readonly Sequence[] {
    return this.#waiting;
  }

  /** Resolves when nothing is computed any more, once all that ran or waited has been failed. */
  async end(): Promise<void> {
    await this.#encoding.run;
    await this.#loop;
  }

  add(sequence: Sequence): void {
    this.#waiting.push(sequence);
    // One with images may be ready after a later one without.
    this.#waiting.sort((a, b) => a.priority - b.priority || a.arrivedAt - b.arrivedAt);
    this.#wake();
  }

  /** A sequence that runs gives its slot back when its step ends, which its signal hastens. */
  cancel(sequence: Sequence): void {
    sequence.fail(requestError(undefined, sequence.signal));
    remove(this.#waiting, sequence);
  }

  #wake(): void {
    this.#isWoken = true;
    if (!this.#isLooping) this.#loop = this.#run();
  }

  /** Ends when there is nothing to compute, even if the encoder still runs: it wakes the loop again. */
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
      this.#retire();
    } finally {
      this.#isLooping = false;
    }
  }

  async #plan(): Promise<Plan | undefined> {
    this.#retire();
    this.#encodeAhead();
    await this.#admitWaiting();
    const isSomebodyDecoding = this.#running.some(({ isDecoding }) => isDecoding);
    return schedule(this.#running, {
      chunkTokens: this.#pace.chunkTokens(isSomebodyDecoding),
      draftTokens: this.#pace.draftTokens(),
      isPromptsTurn: this.#isPromptsTurn,
    });
  }

  #encodeAhead(): void {
    if (this.#encoding.run) return;
    const wanted: [Sequence, readonly PromptImage[]][] = [];
    for (const sequence of this.#waiting) {
      const images = this.#runner.missingImages(sequence);
      if (images.length > 0) wanted.push([sequence, images]);
      if (wanted.length === MOST_AHEAD) break;
    }
    this.#encoding.begin(wanted, () => this.#wake());
  }

  /**
   * First come, first served among those whose images have been read. One prompt is computed at a time, so that the
   * next one finds in the cache what both have in common.
   */
  async #admitWaiting(): Promise<void> {
    while (this.#running.length < this.#maxRunning && this.#running.every(({ isDecoding }) => isDecoding)) {
      const sequence = this.#waiting.find((each) => this.#runner.missingImages(each).length === 0);
      if (!sequence || !(await this.#seat(sequence))) return;
    }
  }

  /** False when it has to wait. One that can never run is failed, and the next may have its turn. */
  async #seat(sequence: Sequence): Promise<boolean> {
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

  /** A failed run ends the sequences of its plan and no others. */
  async #step(plan: Plan): Promise<void> {
    const startedAt = performance.now();
    try {
      if (!(await this.#runner.reserve(plan))) return this.#makeWay();
      const tokens = this.#commit(plan, await this.#runner.run(plan));
      this.#pace.record(plan, performance.now() - startedAt, tokens);
    } catch (error) {
      if (error instanceof CacheLost && this.#running.length > 1) return this.#requeueAll();
      for (const sequence of sequencesOf(plan)) this.#drop(sequence, error);
    }
    this.#isPromptsTurn = plan.kind !== "prefill";
  }

  /**
   * Writes what a run did into its sequences; those that were cancelled take nothing, and one whose token cannot be drawn
   * fails alone. Returns how many tokens each got on average.
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

  /** Memory does not hold all that run: the last one gives up its row and waits for its turn. */
  #makeWay(): void {
    const last = this.#running.at(-1);
    if (last && this.#running.length > 1) return this.#requeue(last);
    if (last) this.#drop(last, outOfCache());
  }

  /** What it has said stays said; what is known of it is computed again. */
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

  /** Sequences that ended give back their rows, or their place in the queue. */
  #retire(): void {
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

/** Takes the tokens of a decoding step, and how many: of a guess as many as come true. */
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
    // What was computed after a wrong guess is about another text.
    if (token.id !== draft[i]) break;
  }
  return count;
}
