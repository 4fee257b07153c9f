/** The text family "llama" covers Llama and Vicuna. */
import { z } from "zod";
import { orElse, parseSection, TAKE_LLAVA_15, unsupported } from "../description/config-fields.ts";
import { describeLlama, llamaFields } from "./llama-config.ts";
import { llamaDecoder, llamaTensorName } from "./llama-decoder.ts";
import type { TextFamily } from "./text-family.ts";

/** Defaults: transformers.LlamaConfig(). */
const schema = z.object({
  ...llamaFields({
    hiddenSize: 4096,
    intermediateSize: 11_008,
    layers: 32,
    heads: 32,
    contextLength: 2048,
    vocabSize: 32_000,
    bosTokenId: 1,
  }),
  attention_bias: orElse(z.boolean(), false),
  mlp_bias: orElse(z.boolean(), false),
});
const DEFAULT_EOS = 2;

export const llama: TextFamily = {
  parseConfig(config) {
    const raw = parseSection("text_config", schema, config);
    if (raw.attention_bias) throw unsupported("its attention has biases (attention_bias)", TAKE_LLAVA_15);
    if (raw.mlp_bias) throw unsupported("its feed-forward layers have biases (mlp_bias)", TAKE_LLAVA_15);
    return describeLlama("llama", raw, DEFAULT_EOS);
  },
  buildGraph: llamaDecoder,
  tensorName: llamaTensorName,
};
