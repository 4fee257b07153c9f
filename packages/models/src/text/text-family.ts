/** A text family is how language models of one architecture are read, named and computed. */
import type { TextDescription } from "../description/model-description.ts";
import type { Tensor } from "@llava/onnx";
import type { Operations } from "../operations/operations.ts";

export interface TextFamily {
  /** text_config of config.json to a description. Throws `unsupported_model` and `invalid_checkpoint`. */
  parseConfig(config: unknown): TextDescription;
  /** Logits [n, vocabulary] float32 for the rows asked for. */
  buildGraph(ops: Operations, text: TextDescription, inputs: DecoderInputs): Tensor;
  /** Our name of a tensor in a checkpoint of the language model alone; undefined for one that LLaVA has no use for. */
  tensorName(stored: string): string | undefined;
}

export interface DecoderInputs {
  /** [batch, tokens] int64. Where an image stands, any id in range. */
  readonly ids: Tensor;
  /** The image's rows, and which of them stands where; absent in a text-only graph. */
  readonly image?: {
    /** [n, hidden] float32 */
    readonly features: Tensor;
    /** [batch, tokens] int64: row of `features`, or −1 for text. */
    readonly featureRows: Tensor;
  };
  /** [n] int64: which rows of the flattened [batch·tokens] get logits. */
  readonly logitRows: Tensor;
}
