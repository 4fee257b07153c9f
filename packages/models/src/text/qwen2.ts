/** The text family "qwen2" covers Qwen 1.5, 2 and 2.5: Llama with biases of queries, keys and values. */
import { z } from "zod";
import { orElse, parseSection, unsupported } from "../description/config-fields.ts";
import { describeLlama, llamaFields } from "./llama-config.ts";
import { llamaDecoder, llamaTensorName } from "./llama-decoder.ts";
import type { TextFamily } from "./text-family.ts";

/** Defaults: transformers.Qwen2Config(). */
const schema = z.object({
  ...llamaFields({
    hiddenSize: 4096,
    intermediateSize: 22_016,
    layers: 32,
    heads: 32,
    kvHeads: 32,
    contextLength: 32_768,
    vocabSize: 151_936,
    bosTokenId: null,
  }),
  use_sliding_window: orElse(z.boolean(), false),
});
/** "<|im_end|>", the end token of the published chat models; the class itself has no default. */
const DEFAULT_EOS = 151_645;

export const qwen2: TextFamily = {
  parseConfig(config) {
    const raw = parseSection("text_config", schema, config);
    if (raw.use_sliding_window)
      throw unsupported("some of its layers have a sliding window", "take one without use_sliding_window");
    return { ...describeLlama("qwen2", raw, DEFAULT_EOS), qkvBias: true };
  },
  buildGraph: llamaDecoder,
  tensorName: llamaTensorName,
};
