/** Adds up the tokens of several answers to one request. */
import type { Usage } from "@llava/backend";

/** The prompt counts once; as cached counts only what no answer had to compute. */
export function sumUsage(usages: readonly Usage[]): Usage {
  const [{ promptTokens, imageTokens } = { promptTokens: 0, imageTokens: 0 }] = usages;
  return {
    promptTokens,
    imageTokens,
    cachedTokens: usages.length === 0 ? 0 : Math.min(...usages.map(({ cachedTokens }) => cachedTokens)),
    completionTokens: usages.reduce((sum, { completionTokens }) => sum + completionTokens, 0),
  };
}
