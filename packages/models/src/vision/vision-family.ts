/** A vision family is how vision towers of one architecture are read, named and computed. */
import type { VisionDescription } from "../description/model-description.ts";
import type { Tensor } from "@llava/onnx";
import type { Operations } from "../operations/operations.ts";

/** What LLaVA takes from a tower. */
export interface FeatureChoice {
  /** vision_feature_layer: hidden states are numbered 0 (embeddings) to the count of layers, negative ones from the end. */
  readonly layer: number | readonly number[];
  /** vision_feature_select_strategy is "full". */
  readonly keepsClassToken: boolean;
}

export interface VisionFamily {
  /** vision_config of config.json to a description. Throws `unsupported_model` and `invalid_checkpoint`. */
  parseConfig(config: unknown, features: FeatureChoice): VisionDescription;
  /** pixels [batch, 3, imageSize, imageSize] → features [batch, tokensPerImage, hiddenSize]. */
  buildGraph(ops: Operations, vision: VisionDescription, pixels: Tensor): Tensor;
  /** Our name of a tensor in a checkpoint of the tower alone; undefined for one that LLaVA has no use for. */
  tensorName(stored: string): string | undefined;
}
