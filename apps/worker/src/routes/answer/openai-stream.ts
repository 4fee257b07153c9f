/** Writes the blocks of a streamed answer, or of several choices, in OpenAI's order. */
import type { ChoiceEvent, GenerateEvent, Usage } from "@llava/backend";
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
import { answeredTokens } from "./openai-logprobs.ts";
import type { Dialect } from "./openai-dialect.ts";
import { IDLE } from "./keepalive.ts";
import type { KeepaliveLines } from "./keepalive-lines.ts";
import { sumUsage } from "../../service/usage.ts";

export interface StreamStyle {
  readonly head: CompletionHead;
  readonly dialect: Dialect;
  readonly numAnswers: number;
  readonly includeUsage: boolean;
  /** Whether the stream is for a controller and holds the tokens, too. */
  readonly isHop: boolean;
  /** Whether another worker began the answer, so that the client has its beginning. */
  readonly isResumed: boolean;
  readonly tokenBytes: (id: number) => Uint8Array;
  readonly keepalive: KeepaliveLines;
}

type Marked = ChoiceEvent | typeof IDLE;

/**
 * @param opening the lines in front of the first block of the answer
 * @param firstLine the block that was due before there was one, or ""
 */
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
    const chunk = style.dialect.openingChunk(style.head, index);
    if (chunk === null) continue;
    yield lines + chunkOf(style, chunk);
    lines = "";
  }
  const lengths = Array.from({ length: style.numAnswers }, () => 0);
  const usages: Usage[] = [];
  for (let next = first; !next.done; next = await rest.next()) {
    if (next.value === IDLE) {
      const line = next === first ? "" : style.keepalive.line();
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
function blockOf(style: StreamStyle, index: number, event: GenerateEvent, offset: number): string {
  const { head, dialect } = style;
  if (event.type === "error") return encodeSseJson(errorBody(event.error));
  if (event.type === "finished")
    return chunkOf(style, dialect.finishChunk(head, index, event.reason, chatTimings(event.timings)));
  const tokens = style.isHop ? encodeResumeTokens(event.tokens) : "";
  const logprobs = event.logprobs ? answeredTokens(event.logprobs, style.tokenBytes) : null;
  return tokens + chunkOf(style, dialect.textChunk(head, index, { text: event.text, logprobs, offset }));
}

function endOf({ head, dialect, includeUsage }: StreamStyle, usages: readonly Usage[]): string {
  const usage = includeUsage ? encodeSseJson(dialect.usageChunk(head, chatUsage(sumUsage(usages)))) : "";
  return usage + encodeSse(SSE_DONE);
}

/** With `include_usage` every chunk has the field, null in all but the last. */
function chunkOf({ includeUsage }: StreamStyle, chunk: object): string {
  return encodeSseJson(includeUsage ? { ...chunk, usage: null } : chunk);
}
