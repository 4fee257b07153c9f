/** Checks what a request asks of its answer's tokens: how they are chosen, and which tokens and strings end the answer. */
import { randomInt } from "node:crypto";
import { type ConversationTemplate, stopString } from "@llava/processing";
import type { ModelDescription } from "@llava/models";
import { LlavaError } from "@llava/protocol";
import { MAX_TOP_LOGPROBS } from "../sampling/logprobs.ts";
import { isNeutral, type Penalties } from "../sampling/penalties.ts";
import type { GenerateRequest } from "../api/request.ts";
import type { ChoiceSettings } from "../sampling/logits-pipeline.ts";

type Text = Pick<ModelDescription["text"], "vocabSize" | "eosTokenIds">;

/** Most entries of logit_bias: each is added to the logits once a token. */
const MAX_BIASES = 1024;
const MAX_STOP_TOKENS = 64;
/** Most stop strings of a request, and characters of one: each is looked for after every token. */
const MAX_STOPS = 16;
const MAX_STOP_LENGTH = 256;
/** OpenAI's range of logit_bias, and of the two penalties below. */
const MAX_BIAS = 100;
const MAX_PENALTY = 2;
/** Largest repetition_penalty: nothing is left of a logit that is divided by more. */
const MAX_REPETITION = 100;

export function choiceSettings(request: GenerateRequest, text: Text): ChoiceSettings {
  const { temperature = 1, topP = 1, topK = 0, minP = 0, seed = randomInt(2 ** 31) } = request;
  requireRange("temperature", temperature, temperature >= 0 && temperature <= 100, "from 0 to 100");
  requireRange("top_p", topP, topP >= 0 && topP <= 1, "from 0 to 1");
  requireRange("top_k", topK, isCount(topK), "a whole number, 0 or more");
  requireRange("min_p", minP, minP >= 0 && minP <= 1, "from 0 to 1");
  requireRange("seed", seed, Number.isSafeInteger(seed), "a whole number");
  const penalties = penaltiesOf(request);
  const logitBias = biasOf(request, text);
  const minTokens = minTokensOf(request);
  const topLogprobs = logprobsOf(request);
  return {
    temperature,
    topP,
    topK,
    seed,
    ...(minP === 0 ? {} : { minP }),
    ...(isNeutral(penalties) ? {} : { penalties }),
    ...(logitBias.size === 0 ? {} : { logitBias }),
    ...(minTokens === 0 ? {} : { minTokens }),
    ...(topLogprobs === undefined ? {} : { topLogprobs }),
  };
}

/** @throws LlavaError `invalid_request` */
export function requireMaxTokens({ maxTokens = 1 }: GenerateRequest): void {
  requireRange("max_tokens", maxTokens, isCount(maxTokens) && maxTokens >= 1, "a whole number, 1 or more");
}

/** Tokens at which the answer ends: the model's own and the request's. */
export function endTokens(
  { ignoreEos = false, stopTokenIds = [] }: GenerateRequest,
  text: Text,
): ReadonlySet<number> {
  if (stopTokenIds.length > MAX_STOP_TOKENS) {
    throw new LlavaError(
      "invalid_request",
      `There are ${stopTokenIds.length} stop_token_ids; at most ${MAX_STOP_TOKENS} are taken.`,
    );
  }
  for (const id of stopTokenIds) requireToken("a token of stop_token_ids", id, text);
  return new Set([...(ignoreEos ? [] : text.eosTokenIds), ...stopTokenIds]);
}

/** Strings before which the answer ends: the request's, and the one that ends a turn in the template where there are turns. */
export function stopStrings(
  { stop = [], prompt }: GenerateRequest,
  template: ConversationTemplate,
): readonly string[] {
  const longest = Math.max(0, ...stop.map((text) => text.length));
  if (stop.length > MAX_STOPS || longest > MAX_STOP_LENGTH) {
    throw new LlavaError(
      "invalid_request",
      `There are ${stop.length} stop strings of up to ${longest} characters; at most ${MAX_STOPS} of ${MAX_STOP_LENGTH} are taken.`,
    );
  }
  const hasTurns = typeof prompt === "string" || !("text" in prompt);
  const ofTurn = hasTurns ? stopString(template) : null;
  return ofTurn === null ? stop : [...stop, ofTurn];
}

export function requireToken(name: string, id: number, { vocabSize }: Pick<Text, "vocabSize">): void {
  requireRange(name, id, isCount(id) && id < vocabSize, `a token of the model, below ${vocabSize}`);
}

function requireRange(name: string, value: number, isValid: boolean, range: string): void {
  if (!isValid) throw new LlavaError("invalid_request", `${name} is ${value}, but it must be ${range}.`);
}

function penaltiesOf({
  repetitionPenalty: repetition = 1,
  presencePenalty: presence = 0,
  frequencyPenalty: frequency = 0,
}: GenerateRequest): Penalties {
  requireRange(
    "repetition_penalty",
    repetition,
    repetition > 0 && repetition <= MAX_REPETITION,
    `above 0, up to ${MAX_REPETITION}`,
  );
  const range = `from -${MAX_PENALTY} to ${MAX_PENALTY}`;
  requireRange("presence_penalty", presence, Math.abs(presence) <= MAX_PENALTY, range);
  requireRange("frequency_penalty", frequency, Math.abs(frequency) <= MAX_PENALTY, range);
  return { repetition, presence, frequency };
}

function biasOf({ logitBias = new Map() }: GenerateRequest, text: Text): ReadonlyMap<number, number> {
  if (logitBias.size > MAX_BIASES) {
    throw new LlavaError(
      "invalid_request",
      `logit_bias has ${logitBias.size} tokens; at most ${MAX_BIASES} are taken.`,
    );
  }
  for (const [id, value] of logitBias) {
    requireToken("a token of logit_bias", id, text);
    const range = `from -${MAX_BIAS} to ${MAX_BIAS}`;
    requireRange(`logit_bias of token ${id}`, value, Math.abs(value) <= MAX_BIAS, range);
  }
  return logitBias;
}

function minTokensOf({ minTokens = 0, maxTokens = Infinity }: GenerateRequest): number {
  requireRange("min_tokens", minTokens, isCount(minTokens), "a whole number, 0 or more");
  requireRange(
    "min_tokens",
    minTokens,
    !(minTokens > maxTokens),
    `at most max_tokens, which is ${maxTokens}`,
  );
  return minTokens;
}

function logprobsOf({ logprobs }: GenerateRequest): number | undefined {
  if (logprobs === undefined) return undefined;
  const isValid = isCount(logprobs) && logprobs <= MAX_TOP_LOGPROBS;
  requireRange("top_logprobs", logprobs, isValid, `a whole number from 0 to ${MAX_TOP_LOGPROBS}`);
  return logprobs;
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0;
}
