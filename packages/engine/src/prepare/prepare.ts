/** Prepares a request for the engine's loop: token ids, limits checked with the plans of its images, pixels, grammar. */
import { type DecodePool, promptText } from "@llava/processing";
import type { ModelFolder } from "@llava/models";
import { LlavaError } from "@llava/protocol";
import { Detokenizer } from "../sampling/detokenizer.ts";
import type { GrammarMatcher, Grammars } from "../grammar/grammar.ts";
import type { GenerateRequest } from "../api/request.ts";
import { Sequence } from "../scheduler/sequence.ts";
import { choiceSettings, endTokens, requireMaxTokens, requireToken, stopStrings } from "./sampling-params.ts";
import { decodeImages, expandPrompt, planImages, requireImages } from "./prompt-images.ts";
import { answerStart, emptyPrompt, promptPieces, templateOf } from "./prompt-pieces.ts";
import { answerLimit, requireShort } from "./token-limits.ts";

export interface Admission {
  /** Milliseconds of the process clock. */
  readonly arrivedAt: number;
  readonly signal: AbortSignal;
  /** Processes in which images are decoded. */
  readonly decodePool: DecodePool;
  /** Most characters of a prompt: `longestPrompt` of the model. */
  readonly maxCharacters: number;
  /** Compiler of the grammars that answers have to follow. */
  readonly grammars: Grammars;
}

/** Throws LlavaErrors: `invalid_request`, `image_count_mismatch`, `context_length_exceeded`, `invalid_image`, `cancelled`. */
export async function prepare(
  model: ModelFolder,
  request: GenerateRequest,
  admission: Admission,
): Promise<Sequence> {
  const { description, tokenizer } = model;
  const { decodePool, signal } = admission;
  const { contextLength } = description.text;
  const sampling = choiceSettings(request, description.text);
  const template = templateOf(description, request.conversation);
  const pieces = promptPieces(template, request);
  requireShort(promptText(pieces), admission.maxCharacters, contextLength);
  const compact = tokenizer.encodePrompt(pieces);
  if (compact.length === 0) throw emptyPrompt("The prompt");
  requireImages(compact, request.images.length);
  requireMaxTokens(request);
  const resumed = resumedTokens(model, request);
  const imagesStartedAt = performance.now();
  const plans = await planImages(description, request, decodePool, signal);
  const maxTokens = answerLimit(contextLength, compact, plans, request.maxTokens);
  const images = await decodeImages(description, request, plans, decodePool, signal);
  const imagesMs = performance.now() - imagesStartedAt;
  const grammar = await openGrammar(request, admission);
  const sequence = new Sequence({
    prompt: expandPrompt(description, compact, images),
    sampling,
    maxTokens,
    endTokens: endTokens(request, description.text),
    detokenizer: new Detokenizer(tokenizer, stopStrings(request, template), answerStart(request)),
    arrivedAt: admission.arrivedAt,
    ...(request.priority === undefined ? {} : { priority: request.priority }),
    ...(images.length === 0 ? {} : { imagesMs }),
    ...(grammar === undefined ? {} : { grammar }),
    ...(request.onPrefill === undefined ? {} : { onPrefill: request.onPrefill }),
    signal,
  });
  sequence.resume(resumed, performance.now());
  return sequence;
}

/** Every request's signal aborts when it ends, however it ends; the matcher goes with it. */
async function openGrammar(
  { grammar, ignoreEos }: GenerateRequest,
  { grammars, signal }: Admission,
): Promise<GrammarMatcher | undefined> {
  if (grammar === undefined) return undefined;
  if (ignoreEos === true) {
    throw new LlavaError(
      "invalid_request",
      "An answer in JSON ends with its last bracket; leave out ignore_eos or response_format.",
      { param: "ignore_eos" },
    );
  }
  const matcher = await grammars.open(grammar);
  if (signal.aborted) matcher[Symbol.dispose]();
  signal.throwIfAborted();
  signal.addEventListener("abort", () => matcher[Symbol.dispose](), { once: true });
  return matcher;
}

/** Another model's tokens would be continued without an error, and without sense. */
function resumedTokens({ description }: ModelFolder, { resume }: GenerateRequest): readonly number[] {
  const tokens = resume?.tokens ?? [];
  for (const id of tokens) requireToken("a token of the answer so far", id, description.text);
  return tokens;
}
