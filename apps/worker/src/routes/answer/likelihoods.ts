/** How likely an answer's tokens were, from the engine's ids to the words of OpenAI's answers. */
import type { TokenLogprob, TokenLogprobs } from "@llava/engine";
import type { AnsweredToken, TokenLikelihood } from "@llava/protocol";

/** JSON has no infinity; OpenAI says this of what is as good as impossible. */
const IMPOSSIBLE = -9999;

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** @param tokenBytes of the engine */
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
