/** Formats the line under an answer with its timings and token counts. */
import type { ChatTimings, ChatUsage, FinishReason } from "@llava/protocol/browser";

interface Ending {
  readonly reason: FinishReason;
  readonly usage: ChatUsage | null;
  readonly timings: ChatTimings | null;
}

/**
 * For instance "first word after 0.42 s · 58 tokens/s · 34 tokens"; values that the server did not send are left out.
 */
export function timingsLine({ reason, usage, timings }: Ending): string {
  const parts: string[] = [];
  if (timings) parts.push(`first word after ${seconds(timings.first_token_ms)}`);
  const rate = tokensPerSecond(usage, timings);
  if (rate !== null) parts.push(`${rate < 10 ? rate.toFixed(1) : Math.round(rate)} tokens/s`);
  if (usage) parts.push(usage.completion_tokens === 1 ? "1 token" : `${usage.completion_tokens} tokens`);
  if (reason === "length") parts.push("ended at the longest length allowed");
  return parts.join(" · ");
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`;
}

/** The first token is computed with the prompt; only the others take decoding time. */
function tokensPerSecond(usage: ChatUsage | null, timings: ChatTimings | null): number | null {
  if (!usage || !timings || usage.completion_tokens < 2 || timings.decode_ms <= 0) return null;
  return ((usage.completion_tokens - 1) * 1000) / timings.decode_ms;
}
