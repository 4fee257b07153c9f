/** LocalBackend is the engine of this repository in this process; no other file of the worker knows the engine. */
import type {
  AdmissionQueue,
  Backend,
  BackendCapabilities,
  BackendCard,
  BackendOccupancy,
  BackendRequest,
  ChoiceEvent,
  OcclusionEvent,
  OcclusionRequest,
  SequenceProgress,
} from "@llava/backend";
import { Engine, type EngineOptions } from "@llava/engine";

export class LocalBackend implements Backend {
  readonly card: BackendCard;
  readonly capabilities: BackendCapabilities;
  readonly queue: AdmissionQueue;
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.card = engine.info;
    this.queue = engine.queue;
    this.capabilities = {
      vision: true,
      several_images: true,
      image_modes: true,
      text_completion: true,
      system_message: engine.info.takesSystem,
      continue_final_message: true,
      conversation_template: true,
      seed: true,
      penalties: true,
      logprobs: true,
      several_choices: true,
      json_mode: true,
      occlusion_maps: true,
      resume: true,
    };
  }

  static async load(folder: string, options: EngineOptions): Promise<LocalBackend> {
    return new LocalBackend(await Engine.load(folder, options));
  }

  get occupancy(): BackendOccupancy {
    const { occupancy, progress, info } = this.#engine;
    const numCached = progress.reduce((sum, { cachedTokens }) => sum + cachedTokens, 0);
    const { running, slots } = occupancy;
    return { running, slots, cacheUse: numCached / (slots * info.contextLength) };
  }

  get sequences(): readonly SequenceProgress[] {
    return this.#engine.progress;
  }

  generate(request: BackendRequest, signal: AbortSignal): AsyncIterable<ChoiceEvent> {
    const { choices = 1, ...one } = request;
    return this.#engine.generateChoices(one, choices, signal);
  }

  tokenBytes(id: number): Uint8Array {
    return this.#engine.tokenBytes(id);
  }

  occlusionMap(request: OcclusionRequest, signal: AbortSignal): AsyncIterable<OcclusionEvent> {
    return this.#engine.occlusionMap(request, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine[Symbol.asyncDispose]();
  }
}
