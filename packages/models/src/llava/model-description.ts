/**
 * The one description of a model that every other part reads: apart from the files it comes from, so that a second
 * checkpoint layout needs a second parser and nothing else.
 */

import type { PixelDescription } from "@llava/processing";

/** Everything that architecture and engine must know about a model, checked and without gaps. */
export interface ModelDescription {
  /** By LLaVA's rule from the folder's path; see model-name.ts. */
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

/** A CLIP vision tower: images [n, 3, imageSize, imageSize] to features [n, tokensPerImage, hiddenSize]. */
export interface VisionDescription {
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
  /** How many of the layers run before the features are taken: vision_feature_layer -2 of 24 layers is 23. */
  readonly layersToRun: number;
  readonly keepsClassToken: boolean;
  readonly tokensPerImage: number;
}

/** Linear, exact GELU, Linear (LLaVA's mlp2x_gelu): [tokens, inputSize] to [tokens, outputSize]. */
export interface ProjectorDescription {
  readonly activation: "gelu";
  readonly bias: boolean;
  readonly inputSize: number;
  readonly outputSize: number;
}

/** A Llama decoder. */
export interface TextDescription {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Divides heads; fewer than heads is grouped-query attention. */
  readonly kvHeads: number;
  readonly headSize: number;
  readonly ropeTheta: number;
  readonly rmsNormEps: number;
  /** Rows of the embedding: may be more than the tokenizer has tokens. */
  readonly vocabSize: number;
  readonly tiedEmbeddings: boolean;
  /** Prompt and answer together, tokens. */
  readonly contextLength: number;
  readonly bosTokenId: number | null;
  /** Any of these ends the answer. Never empty. */
  readonly eosTokenIds: readonly number[];
}
