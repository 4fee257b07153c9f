/** Finds the tokens of a word in the middle of an answer, and all that stands before it, to ask the model how likely they are. */
import type { AnswerSpan } from "@llava/backend";
import { type ModelFolder } from "@llava/models";
import { promptText, renderUnfinished, type Tokenizer } from "@llava/processing";
import { LlavaError } from "@llava/protocol";
import { templateOf } from "../prepare/prompt-pieces.ts";
import type { Message } from "../api/request.ts";

export interface WordTokens {
  /** Token ids of the conversation and of the answer before the word; IMAGE_TOKEN for each image. */
  readonly before: readonly number[];
  /** Tokens with some of the word's bytes, in order; never empty. */
  readonly tokens: readonly number[];
}

/** Most tokens of the chosen words: a word has a handful, and the map of a long text shows no place in particular. */
const MAX_TOKENS = 64;
const NO_BYTES = new Uint8Array(0);

/**
 * The whole answer is tokenized as in training, so that its tokens are those that the model would sample.
 * @param maxCharacters most characters of a prompt that can fit the context @throws LlavaErrors `invalid_request`, `context_length_exceeded`
 */
export function wordTokens(
  { description, tokenizer }: ModelFolder,
  { messages, conversation, answer, start, end }: AnswerSpan,
  maxCharacters: number,
): WordTokens {
  requireRange(answer, start, end);
  const template = templateOf(description, conversation);
  const answered: Message = { role: "assistant", text: [{ type: "text", text: answer }] };
  const pieces = renderUnfinished(template, [...messages, answered]);
  if (promptText(pieces).length > maxCharacters) throw tooLong(description.text.contextLength);
  const ids = tokenizer.encodePrompt(pieces);
  const places = placesOf(tokenizer, ids, answer);
  const from = Buffer.byteLength(answer.slice(0, start));
  const to = Buffer.byteLength(answer.slice(0, end));
  const first = places.findIndex((place) => place.end > from);
  const behind = places.findLastIndex((place) => place.start < to && place.end > place.start) + 1;
  const tokens = ids.slice(first, behind);
  if (first < 0 || tokens.length === 0) throw notItsWords();
  if (tokens.length > MAX_TOKENS) {
    throw new LlavaError(
      "invalid_request",
      `The chosen words have ${tokens.length} tokens; choose fewer words, of at most ${MAX_TOKENS} tokens.`,
      { param: "end" },
    );
  }
  return { before: ids.slice(0, first), tokens };
}

/** The bytes of the answer that each token stands for; tokens before the answer end at 0 or below. */
function placesOf(
  tokenizer: Tokenizer,
  ids: readonly number[],
  answer: string,
): readonly { readonly start: number; readonly end: number }[] {
  // IMAGE_TOKEN is a place of the prompt and no token.
  const bytes = ids.map((id) => (id < 0 ? NO_BYTES : tokenizer.tokenBytes(id)));
  const tail = Buffer.concat(bytes).toString("utf8");
  if (!tail.endsWith(answer)) throw notItsWords();
  let end = Buffer.byteLength(answer);
  const places = bytes.toReversed().map(({ length }) => {
    const place = { start: end - length, end };
    end = place.start;
    return place;
  });
  return places.toReversed();
}

function requireRange(answer: string, start: number, end: number): void {
  const isRange = Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start < end;
  if (isRange && end <= answer.length && answer.slice(start, end).trim() !== "") return;
  throw new LlavaError(
    "invalid_request",
    `From ${start} to ${end} there is no word of the answer, which has ${answer.length} characters. Choose start and end around one.`,
    { param: "start" },
  );
}

function notItsWords(): LlavaError {
  return new LlavaError(
    "invalid_request",
    "The model's tokens do not say this answer letter by letter, so that its words cannot be found among them. Choose an answer of this model.",
    { param: "answer" },
  );
}

function tooLong(contextLength: number): LlavaError {
  return new LlavaError(
    "context_length_exceeded",
    `The conversation is longer than what the model's context of ${contextLength} tokens can hold. Choose an earlier answer.`,
    { param: "messages" },
  );
}
