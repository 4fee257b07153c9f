/**
 * ScriptedBackend is a whole backend without a model: what it answers is a function of the request and its seed, so that tests
 * of servers need no checkpoint, no native code, and can choose delays, failures and capabilities.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  AdmissionQueue,
  type AdmissionLimits,
  type Backend,
  type BackendCapabilities,
  type BackendCard,
  type BackendOccupancy,
  type BackendRequest,
  type ChoiceEvent,
  type SequenceProgress,
} from "@llava/backend";
import { LlavaError, toLlavaError } from "@llava/protocol";
import { ScriptedAnswer } from "./scripted-answer.ts";
import { FIRST_BYTE_ID } from "./scripted-model.ts";
import { readPrompt } from "./scripted-prompt.ts";

export interface ScriptedBackendOptions {
  readonly name?: string;
  readonly limits?: Partial<AdmissionLimits>;
  /** Capabilities that differ from the default: all but occlusion maps. */
  readonly capabilities?: Partial<BackendCapabilities>;
  /** Pause before each token. Default 1. */
  readonly stepMs?: number;
  /** The error with which an answer ends before the token at a position; null for none. */
  readonly failAt?: (request: BackendRequest, position: number) => LlavaError | null;
}

const CONTEXT_LENGTH = 1024;
const TOKENS_PER_IMAGE = 4;
const LIMITS: AdmissionLimits = { concurrency: 5, maxWaiting: 20, maxWaitMs: 30_000 };
const CAPABILITIES: BackendCapabilities = {
  vision: true,
  several_images: true,
  image_modes: true,
  text_completion: true,
  system_message: true,
  continue_final_message: true,
  conversation_template: true,
  seed: true,
  penalties: true,
  logprobs: true,
  several_choices: true,
  json_mode: true,
  occlusion_maps: false,
  resume: true,
};

export class ScriptedBackend implements Backend {
  readonly card: BackendCard;
  readonly capabilities: BackendCapabilities;
  readonly queue: AdmissionQueue;
  readonly #options: ScriptedBackendOptions;
  readonly #running = new Set<ScriptedAnswer>();

  constructor(options: ScriptedBackendOptions = {}) {
    this.#options = options;
    this.queue = new AdmissionQueue({ ...LIMITS, ...options.limits });
    this.capabilities = { ...CAPABILITIES, ...options.capabilities };
    this.card = {
      name: options.name ?? "scripted",
      contextLength: CONTEXT_LENGTH,
      tokensPerImage: TOKENS_PER_IMAGE,
      card: null,
    };
  }

  get occupancy(): BackendOccupancy {
    const { concurrency: slots } = this.queue.limits;
    const numCached = this.sequences.reduce((sum, { cachedTokens }) => sum + cachedTokens, 0);
    return { running: this.#running.size, slots, cacheUse: numCached / (slots * CONTEXT_LENGTH) };
  }

  get sequences(): readonly SequenceProgress[] {
    return [...this.#running].map(({ progress }) => progress);
  }

  async *generate(request: BackendRequest, signal: AbortSignal): AsyncGenerator<ChoiceEvent, void, void> {
    const arrivedMs = performance.now();
    let answers: readonly ScriptedAnswer[] = [];
    try {
      using _permit = await this.queue.acquire(signal, request);
      request.onAdmitted?.();
      const prompt = readPrompt(request, { contextLength: CONTEXT_LENGTH, tokensPerImage: TOKENS_PER_IMAGE });
      const clock = { arrivedMs, startedMs: performance.now() };
      request.onPrefill?.(prompt.promptTokens, prompt.promptTokens);
      answers = Array.from(
        { length: request.choices ?? 1 },
        (_, i) => new ScriptedAnswer(choice(request, i), prompt, CONTEXT_LENGTH, clock),
      );
      for (const answer of answers) this.#running.add(answer);
      while (answers.some(({ isDone }) => !isDone)) {
        await sleep(this.#options.stepMs ?? 1, undefined, { signal });
        for (const [index, answer] of answers.entries()) {
          if (answer.isDone) continue;
          const error = this.#options.failAt?.(request, answer.position) ?? null;
          if (error !== null) throw error;
          const events = answer.step();
          if (answer.isDone) this.#running.delete(answer);
          for (const event of events) yield { index, event };
        }
      }
    } catch (thrown) {
      const error = signal.aborted
        ? new LlavaError("cancelled", "The request was cancelled.")
        : toLlavaError(thrown);
      yield { index: 0, event: { type: "error", error } };
    } finally {
      for (const answer of answers) this.#running.delete(answer);
    }
  }

  tokenBytes(id: number): Uint8Array {
    return id < FIRST_BYTE_ID ? new Uint8Array(0) : Uint8Array.of(id - FIRST_BYTE_ID);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.queue.drain();
    await this.queue.idle();
  }
}

function choice(request: BackendRequest, index: number): BackendRequest {
  return request.seed === undefined ? request : { ...request, seed: request.seed + index };
}
