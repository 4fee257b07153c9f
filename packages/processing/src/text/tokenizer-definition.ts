/** Checks the parts of tokenizer.json that are read here; the library gets the others as they are. */
import { z } from "zod";

/** An id is an index into tables: a large one would allocate them. */
const id = z.int().min(0).max(1_000_000);
const component = z
  .looseObject({ type: z.string() })
  .nullish()
  .transform((part) => part ?? null);

export const tokenizerSchema = z.looseObject({
  model: z.looseObject({
    type: z.literal("BPE"),
    vocab: z.record(z.string(), id),
    // Up to some 300,000 entries: one check for each instead of a schema for each.
    merges: z.custom<readonly (string | readonly string[])[]>(isMergeList, "not a list of merges"),
  }),
  added_tokens: z
    .array(z.looseObject({ id, content: z.string().min(1), special: z.boolean() }))
    .nullish()
    .transform((tokens) => tokens ?? []),
  normalizer: component,
  pre_tokenizer: component,
  post_processor: component,
  decoder: component,
});
export type TokenizerDefinition = z.output<typeof tokenizerSchema>;

function isMergeList(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  return value.every((merge) => typeof merge === "string" || (Array.isArray(merge) && merge.length === 2));
}
