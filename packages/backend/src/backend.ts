/**
 * A Backend is an engine behind a worker: everything that the worker's routes know of it. The interface has a package of its
 * own so that the worker, the engines and the scripted backend of the tests share it without importing each other.
 */
import type { AdmissionQueue } from "./admission-queue.ts";
import type { ChoiceEvent } from "./backend-event.ts";
import type { GenerateRequest, ImageShape } from "./generate-request.ts";
import type { OcclusionEvent, OcclusionRequest } from "./occlusion-request.ts";

export interface Backend extends AsyncDisposable {
  readonly card: BackendCard;
  readonly capabilities: BackendCapabilities;
  /** The one queue in which requests wait for the backend. */
  readonly queue: AdmissionQueue;
  readonly occupancy: BackendOccupancy;
  /** Progress of each sequence that owns a slot; absent where the backend cannot tell. */
  readonly sequences?: readonly SequenceProgress[];
  /**
   * Answers a request. The stream ends with one terminal event for each choice, or with an error as the last event of all;
   * nothing is thrown. When the signal aborts or the reader stops, nothing is computed any more.
   */
  generate(request: BackendRequest, signal: AbortSignal): AsyncIterable<ChoiceEvent>;
  /** The UTF-8 bytes of a token, which may be half a character; needed for logprobs alone. */
  tokenBytes?(id: number): Uint8Array;
  /** Computes an occlusion map behind all requests that wait; throws LlavaErrors. Absent: the capability is, too. */
  occlusionMap?(request: OcclusionRequest, signal: AbortSignal): AsyncIterable<OcclusionEvent>;
}

/** Loads a model; rejects with a LlavaError that says why it cannot be served. */
export type LoadBackend = (onProgress: (progress: LoadProgress) => void) => Promise<Backend>;

export interface LoadProgress {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
  /** Present while weights are quantized or checked; otherwise `done` and `total` count steps. */
  readonly unit?: "bytes";
}

export interface BackendRequest extends GenerateRequest {
  /** Number of answers, which count as one request in the queue. Each has the seed after the one before it. Default 1. */
  readonly choices?: number;
}

/** What a client wants to know about the model; a field is absent where the backend does not know it. */
export interface BackendCard {
  /** The name that the model's own files give it. */
  readonly name: string;
  /** Tokens that prompt and answer may have together. */
  readonly contextLength: number;
  readonly tokensPerImage?: number;
  /** Edge of the square that the vision tower sees, pixels. */
  readonly imageSize?: number;
  /** How an image becomes that square unless the request says otherwise. */
  readonly imageShape?: ImageShape;
  /** Key of the model's conversation template. */
  readonly conversation?: string;
  /** Keys of all templates that a request may name. */
  readonly conversations?: readonly string[];
  /** The model card's text (markdown), or null when there is none. */
  readonly card: string | null;
}

/**
 * What a request may ask of the backend, under the names of `GET /v1/models`. The worker refuses what is false by the name of
 * its field, before the request waits.
 */
export interface BackendCapabilities {
  readonly vision: boolean;
  /** More than one image in a request. */
  readonly several_images: boolean;
  /** A shape for each image other than the model's own. */
  readonly image_modes: boolean;
  /** Plain texts that are continued without a template. */
  readonly text_completion: boolean;
  readonly system_message: boolean;
  /** An unfinished assistant message that the answer continues. */
  readonly continue_final_message: boolean;
  /** A template other than the model's own. */
  readonly conversation_template: boolean;
  /** Equal answers for equal seeds. */
  readonly seed: boolean;
  readonly penalties: boolean;
  readonly logprobs: boolean;
  /** Several answers to one request. */
  readonly several_choices: boolean;
  /** Answers that match a JSON schema. */
  readonly json_mode: boolean;
  readonly occlusion_maps: boolean;
  /** Answers of another worker that are continued after their tokens, bit for bit. */
  readonly resume: boolean;
}

export interface BackendOccupancy {
  /** Sequences that own a slot. */
  readonly running: number;
  /** Most sequences that are computed at once. */
  readonly slots: number;
  /** Share of the KV cache's positions that are in use, from 0 to 1. */
  readonly cacheUse: number;
}

/** How far one running sequence is. Counts are of tokens. */
export interface SequenceProgress {
  readonly promptTokens: number;
  /** Positions of the cache that it fills. */
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  readonly maxTokens: number;
}
