/** The text family "mistral" is Llama with grouped heads and, where the file gives one, a sliding window. */
import { z } from "zod";
import { parseSection } from "../description/config-fields.ts";
import { describeLlama, llamaFields } from "./llama-config.ts";
import { llamaDecoder, llamaTensorName } from "./llama-decoder.ts";
import type { TextFamily } from "./text-family.ts";

/** Defaults: transformers.MistralConfig(). */
const schema = z.object({
  ...llamaFields({
    hiddenSize: 4096,
    intermediateSize: 14_336,
    layers: 32,
    heads: 32,
    kvHeads: 8,
    contextLength: 131_072,
    vocabSize: 32_000,
    bosTokenId: 1,
  }),
  // Null stands for no window (Mistral v0.2), a missing key for the first release's.
  sliding_window: z.int().min(1).nullable().default(4096),
});
const DEFAULT_EOS = 2;

export const mistral: TextFamily = {
  parseConfig(config) {
    const raw = parseSection("text_config", schema, config);
    const text = describeLlama("mistral", raw, DEFAULT_EOS);
    return raw.sliding_window === null ? text : { ...text, slidingWindow: raw.sliding_window };
  },
  buildGraph: llamaDecoder,
  tensorName: llamaTensorName,
};
