/** Turns the logprobs of a backend's token ids into those of OpenAI's answers, which hold texts and bytes. */
import type { TokenLogprob, TokenLogprobs } from "@llava/backend";
import type { AnsweredToken, TokenLikelihood } from "@llava/protocol";

/** JSON has no infinity; OpenAI documents -9999.0 for tokens that are not among the likeliest 20. */
const IMPOSSIBLE = -9999;

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** @param tokenBytes the bytes of a token, from the backend */
export function answeredTokens(
  logprobs: readonly TokenLogprobs[],
  tokenBytes: (id: number) => Uint8Array,
): readonly AnsweredToken[] {
  return logprobs.map((token) => ({
    ...likelihood(token, tokenBytes),
    top_logprobs: token.top.map((other) => likelihood(other, tokenBytes)),
  }));
}

function likelihood({ id, logprob }: TokenLogprob, tokenBytes: (id: number) => Uint8Array): TokenLikelihood {
  const bytes = tokenBytes(id);
  return { token: utf8.decode(bytes), logprob: Math.max(logprob, IMPOSSIBLE), bytes: [...bytes] };
}
