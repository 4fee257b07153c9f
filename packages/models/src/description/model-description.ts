/** A model description is what every other part reads of a model, however its files are laid out. */
import type { PixelDescription } from "@llava/processing";

/** Everything that graphs and engine must know about a model, checked and without gaps. */
export interface ModelDescription {
  /** Name by LLaVA's rule from the folder's path; see model-name.ts. */
  readonly name: string;
  readonly vision: VisionDescription;
  readonly projector: ProjectorDescription;
  readonly text: TextDescription;
  /** The id that stands for one image token in Hugging Face's prompts. Our own prompts use IMAGE_TOKEN. */
  readonly imageTokenId: number;
  readonly pixels: PixelDescription;
  /** Key of a template in conversation.ts. */
  readonly conversation: string;
}

/** A vision tower: images [n, 3, imageSize, imageSize] to features [n, tokensPerImage, hiddenSize]. */
export interface VisionDescription {
  /** Key of the registry's vision families: model_type of vision_config. */
  readonly family: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Edge of the square input, pixels. */
  readonly imageSize: number;
  /** Edge of one patch, pixels; divides imageSize. */
  readonly patchSize: number;
  /** "gelu" is the exact one (erf). */
  readonly activation: "quick_gelu" | "gelu";
  readonly layerNormEps: number;
  /** Number of layers that run before the features are taken: vision_feature_layer -2 of 24 layers is 23. */
  readonly layersToRun: number;
  readonly keepsClassToken: boolean;
  readonly tokensPerImage: number;
}

/** What joins tower and language model: [tokens, inputSize] to [tokens, outputSize]. */
export interface ProjectorDescription {
  /** Key of the registry's projector families: LLaVA's mm_projector_type. */
  readonly family: string;
  readonly bias: boolean;
  readonly inputSize: number;
  readonly outputSize: number;
}

/** A language model of the kind of Llama: a stack of equal blocks of attention and SwiGLU. */
export interface TextDescription {
  /** Key of the registry's text families: model_type of text_config. */
  readonly family: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  /** Number of blocks, and of the KV cache's pairs of buffers. */
  readonly layers: number;
  readonly heads: number;
  /** Number of key and value heads; divides `heads`, and fewer than `heads` is grouped-query attention. */
  readonly kvHeads: number;
  readonly headSize: number;
  readonly ropeTheta: number;
  readonly rmsNormEps: number;
  /** Rows of the embedding: may be more than the tokenizer has tokens. */
  readonly vocabSize: number;
  /** Whether the embedding is the head, too. */
  readonly tiedEmbeddings: boolean;
  /** Whether the projections to queries, keys and values have biases. Absent: they have none. */
  readonly qkvBias?: boolean;
  /** Number of positions that a token sees, itself included. Absent: all that came before. */
  readonly slidingWindow?: number;
  /** Most tokens of prompt and answer together. */
  readonly contextLength: number;
  readonly bosTokenId: number | null;
  /** Any of these ends the answer. Never empty. */
  readonly eosTokenIds: readonly number[];
}
