/** The Llama decoder: token ids and image features → logits. */
import type { ModelDescription } from "../llava/model-description.ts";
import type { Tensor } from "@llava/onnx";
import type { Operations } from "../operations/operations.ts";

type Text = ModelDescription["text"];

const MODEL = "language_model.model";
const EMBEDDING = `${MODEL}.embed_tokens`;
const HEAD = "language_model.lm_head";

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

/** Logits [n, vocabulary] float32 for the rows asked for. */
export function languageModel(ops: Operations, text: Text, { ids, image, logitRows }: DecoderInputs): Tensor {
  const { hiddenSize: hidden, vocabSize, rmsNormEps } = text;
  const words = ops.embed(ids, `${EMBEDDING}.weight`, vocabSize, hidden);
  let stream = image ? ops.mergeFeatures(words, image.features, image.featureRows) : words;
  let normed = ops.rmsNorm(stream, `${MODEL}.layers.0.input_layernorm`, rmsNormEps);
  for (let layer = 0; layer < text.layers; layer++) {
    const name = `${MODEL}.layers.${layer}`;
    const nextNorm =
      layer + 1 < text.layers ? `${MODEL}.layers.${layer + 1}.input_layernorm` : `${MODEL}.norm`;
    const attended = ops.addThenRmsNorm(
      stream,
      selfAttention(ops, text, normed, name, layer),
      `${name}.post_attention_layernorm`,
      rmsNormEps,
    );
    const fed = ops.addThenRmsNorm(
      attended.stream,
      feedForward(ops, text, attended.normed, name),
      nextNorm,
      rmsNormEps,
    );
    ({ stream, normed } = fed);
  }
  const picked = ops.pickRows(normed, logitRows);
  return ops.linear(picked, text.tiedEmbeddings ? EMBEDDING : HEAD, vocabSize, { bias: false });
}

function selfAttention(ops: Operations, text: Text, x: Tensor, name: string, layer: number): Tensor {
  const { heads, kvHeads, headSize, hiddenSize } = text;
  const project = (part: string, size: number): Tensor =>
    ops.linear(x, `${name}.self_attn.${part}`, size, { bias: false });
  const q = project("q_proj", heads * headSize);
  const k = project("k_proj", kvHeads * headSize);
  const v = project("v_proj", kvHeads * headSize);
  const mixed = ops.causalAttention(q, k, v, layer, { heads, kvHeads, headSize });
  return ops.linear(mixed, `${name}.self_attn.o_proj`, hiddenSize, { bias: false });
}

/** SwiGLU: down(silu(gate(x)) · up(x)). */
function feedForward(ops: Operations, text: Text, x: Tensor, name: string): Tensor {
  const widen = (part: string): Tensor =>
    ops.linear(x, `${name}.mlp.${part}`, text.intermediateSize, { bias: false });
  const gated = ops.mul(ops.swish(widen("gate_proj"), 1), widen("up_proj"));
  return ops.linear(gated, `${name}.mlp.down_proj`, text.hiddenSize, { bias: false });
}
