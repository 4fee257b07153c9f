/** The blocks of a streamed answer, or of several, in OpenAI's order. */
import type { EngineEvent, Usage } from "@llava/engine";
import {
  chatTimings,
  chatUsage,
  encodeResumeTokens,
  encodeSse,
  encodeSseJson,
  errorBody,
  SSE_DONE,
  type CompletionHead,
} from "@llava/protocol";
import { answeredTokens } from "./likelihoods.ts";
import type { Dialect } from "./openai-answer.ts";
import { QUIET } from "./keepalive.ts";
import type { ChoiceEvent } from "../../service/worker-service.ts";
import type { Silence } from "./keepalive-lines.ts";
import { sumUsage } from "../../service/usage.ts";

export interface StreamStyle {
  readonly head: CompletionHead;
  readonly dialect: Dialect;
  readonly numAnswers: number;
  readonly includeUsage: boolean;
  /** Tokens are told, too. */
  readonly isHop: boolean;
  /** The client has the beginning already. */
  readonly isResumed: boolean;
  readonly tokenBytes: (id: number) => Uint8Array;
  readonly silence: Silence;
}

type Marked = ChoiceEvent | typeof QUIET;

/** `opening` are the lines in front of the first block of the answer; `firstLine` was said before there was one. */
export async function* streamBlocks(
  style: StreamStyle,
  opening: string,
  firstLine: string,
  first: IteratorResult<Marked>,
  rest: AsyncGenerator<Marked>,
): AsyncGenerator<string> {
  if (firstLine !== "") yield firstLine;
  let lines = opening;
  for (let index = 0; index < style.numAnswers && !style.isResumed; index++) {
    const beginning = style.dialect.beginning(style.head, index);
    if (beginning === null) continue;
    yield lines + chunkOf(style, beginning);
    lines = "";
  }
  const lengths = Array.from({ length: style.numAnswers }, () => 0);
  const usages: Usage[] = [];
  for (let next = first; !next.done; next = await rest.next()) {
    if (next.value === QUIET) {
      const line = next === first ? "" : style.silence.line();
      if (line !== "") yield line;
      continue;
    }
    const { index, event } = next.value;
    if (event.type === "finished") usages.push(event.usage);
    const end = event.type === "finished" && usages.length === style.numAnswers ? endOf(style, usages) : "";
    yield lines + blockOf(style, index, event, lengths[index] ?? 0) + end;
    lines = "";
    if (event.type === "text-delta") lengths[index] = (lengths[index] ?? 0) + event.text.length;
  }
}

/** @param offset characters of the answer so far */
function blockOf(style: StreamStyle, index: number, event: EngineEvent, offset: number): string {
  const { head, dialect } = style;
  if (event.type === "error") return encodeSseJson(errorBody(event.error));
  if (event.type === "finished")
    return chunkOf(style, dialect.ending(head, index, event.reason, chatTimings(event.timings)));
  const tokens = style.isHop ? encodeResumeTokens(event.tokens) : "";
  const logprobs = event.logprobs ? answeredTokens(event.logprobs, style.tokenBytes) : null;
  return tokens + chunkOf(style, dialect.text(head, index, { text: event.text, logprobs, offset }));
}

function endOf({ head, dialect, includeUsage }: StreamStyle, usages: readonly Usage[]): string {
  const usage = includeUsage ? encodeSseJson(dialect.usage(head, chatUsage(sumUsage(usages)))) : "";
  return usage + encodeSse(SSE_DONE);
}

/** Who asked for the usage gets the field in every chunk, null but for the last. */
function chunkOf({ includeUsage }: StreamStyle, chunk: object): string {
  return encodeSseJson(includeUsage ? { ...chunk, usage: null } : chunk);
}
