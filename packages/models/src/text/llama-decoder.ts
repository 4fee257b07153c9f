/** The Llama decoder turns token ids and image features into logits, for every family whose blocks are like Llama's. */
import type { TextDescription } from "../description/model-description.ts";
import type { Tensor } from "@llava/onnx";
import type { Operations } from "../operations/operations.ts";
import type { DecoderInputs } from "./text-family.ts";

const MODEL = "language_model.model";
const EMBEDDING = `${MODEL}.embed_tokens`;
const HEAD = "language_model.lm_head";

/** Logits [n, vocabulary] float32 for the rows asked for. */
export function llamaDecoder(
  ops: Operations,
  text: TextDescription,
  { ids, image, logitRows }: DecoderInputs,
): Tensor {
  const { hiddenSize: hidden, vocabSize, rmsNormEps } = text;
  const embeddings = ops.embed(ids, `${EMBEDDING}.weight`, vocabSize, hidden);
  let stream = image ? ops.mergeFeatures(embeddings, image.features, image.featureRows) : embeddings;
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

function selfAttention(
  ops: Operations,
  text: TextDescription,
  x: Tensor,
  name: string,
  layer: number,
): Tensor {
  const { heads, kvHeads, headSize, hiddenSize, qkvBias: bias = false, slidingWindow: window } = text;
  const project = (part: string, size: number): Tensor =>
    ops.linear(x, `${name}.self_attn.${part}`, size, { bias });
  const q = project("q_proj", heads * headSize);
  const k = project("k_proj", kvHeads * headSize);
  const v = project("v_proj", kvHeads * headSize);
  const shape = { heads, kvHeads, headSize, ...(window === undefined ? {} : { window }) };
  const mixed = ops.causalAttention(q, k, v, layer, shape);
  return ops.linear(mixed, `${name}.self_attn.o_proj`, hiddenSize, { bias: false });
}

/** SwiGLU: down(silu(gate(x)) · up(x)). */
function feedForward(ops: Operations, text: TextDescription, x: Tensor, name: string): Tensor {
  const widen = (part: string): Tensor =>
    ops.linear(x, `${name}.mlp.${part}`, text.intermediateSize, { bias: false });
  const gated = ops.mul(ops.swish(widen("gate_proj"), 1), widen("up_proj"));
  return ops.linear(gated, `${name}.mlp.down_proj`, text.hiddenSize, { bias: false });
}

/** Names in a checkpoint of the language model alone (LlamaForCausalLM) to those of a LLaVA. */
export function llamaTensorName(stored: string): string | undefined {
  return /^(model|lm_head)\./.test(stored) ? `language_model.${stored}` : undefined;
}
