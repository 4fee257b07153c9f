/**
 * Turns text into token ids and back with Hugging Face's own JavaScript tokenizer, `@huggingface/tokenizers`: the part of
 * transformers.js that does it, without the rest (docs/architecture/tokenizers.md).
 */
import { Tokenizer as HubTokenizer } from "@huggingface/tokenizers";
import { LlavaError } from "@llava/protocol";
import { z } from "zod";
import { type ControlTokens, controlTokens } from "./control-tokens.ts";
import { parseModelJson, readJson } from "../files/model-file.ts";
import { IMAGE_MARK, markedPieces, type PromptPiece } from "./prompt.ts";
import { readDecoder } from "./token-bytes.ts";
import { type TokenizerDefinition, tokenizerSchema } from "./tokenizer-definition.ts";
import { splitWords } from "./word-split.ts";

/** Stands for one image in a prompt's ids; LLaVA's IMAGE_TOKEN_INDEX. Never an id of the vocabulary. */
export const IMAGE_TOKEN = -200;

export interface Tokenizer {
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  /** Ids of `<s>`, `</s>`, `<image>` and the like, which add no text to an answer. */
  readonly specialIds: ReadonlySet<number>;
  /** The largest id that text other than `<image>` can become, plus one. */
  readonly vocabularySize: number;
  /** True: the tokenizer writes a space in front of every text, so that the first space of a decoded answer is removed. */
  readonly stripsLeadingSpace: boolean;
  /** Ids of `text`, with nothing added; written-out special tokens such as `</s>` become their ids. */
  encode(text: string): number[];
  /**
   * Ids of a ready prompt: the beginning-of-text id once, if the tokenizer has one, and IMAGE_TOKEN for each image.
   * Text after an image is tokenized as if it began there, as in training. In a string `<image>` is an image and
   * `</s>` its id; in pieces only the template's text holds special tokens.
   */
  encodePrompt(prompt: string | readonly PromptPiece[]): number[];
  /** Text of `ids`. Special tokens are written out unless skipped; half characters become U+FFFD. */
  decode(ids: readonly number[], options?: { readonly skipSpecialTokens?: boolean }): string;
  /**
   * The UTF-8 bytes that one id adds to a text, from a table: a character may be spread over several ids. Joined and
   * decoded they are `decode`, before the leading space is removed. Empty for ids outside the vocabulary. Not to be written to.
   */
  tokenBytes(id: number): Uint8Array;
}

/** Reads tokenizer.json and tokenizer_config.json of a model folder; no network. */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const [tokenizer, settings] = await Promise.all([
    readJson(
      folder,
      "tokenizer.json",
      MAX_TOKENIZER_BYTES,
      "If there is a tokenizer.model, load the folder once with Hugging Face's AutoTokenizer and save it again: that writes tokenizer.json.",
    ),
    readJson(folder, "tokenizer_config.json", MAX_SETTINGS_BYTES),
  ]);
  return createTokenizer(tokenizer, settings);
}

/** `tokenizer` and `settings` are the parsed tokenizer.json and tokenizer_config.json. */
export function createTokenizer(tokenizer: unknown, settings: unknown): Tokenizer {
  const definition = parseModelJson("tokenizer.json", tokenizerSchema, tokenizer);
  const config = parseModelJson("tokenizer_config.json", settingsSchema, settings);
  const controls = controlTokens(definition);
  const hub = buildHubTokenizer(splitWords(controls.definition));
  const decoder = readDecoder(definition);
  const bosTokenId = idOf(definition, config.bos_token);
  const specialIds = new Set(
    definition.added_tokens.filter((token) => token.special).map((token) => token.id),
  );
  const addsBos = config.add_bos_token ?? hub.encode("").tokens[0] === nameOf(config.bos_token);
  const tokenBytes = (id: number): Uint8Array => decoder.bytes[id] ?? NO_BYTES;
  const encodeRun = (text: string): number[] => hub.encode(text, { add_special_tokens: false }).ids;
  return {
    bosTokenId,
    eosTokenId: idOf(definition, config.eos_token),
    specialIds,
    vocabularySize: 1 + largestId(definition),
    stripsLeadingSpace: decoder.stripsLeadingSpace,
    encode: (text) => encodeRun(controls.read(text)),
    encodePrompt(prompt) {
      const ids = addsBos && bosTokenId !== null ? [bosTokenId] : [];
      const runs = textRuns(typeof prompt === "string" ? markedPieces(prompt) : prompt, controls);
      for (const [index, run] of runs.entries()) {
        if (index > 0) ids.push(IMAGE_TOKEN);
        for (const id of encodeRun(run)) ids.push(id);
      }
      return ids;
    },
    decode(ids, options = {}) {
      const shown = options.skipSpecialTokens ? ids.filter((id) => !specialIds.has(id)) : ids;
      const text = utf8.decode(Buffer.concat(shown.map(tokenBytes)));
      return decoder.stripsLeadingSpace && text.startsWith(" ") ? text.slice(1) : text;
    },
    tokenBytes,
  };
}

function buildHubTokenizer(definition: TokenizerDefinition): HubTokenizer {
  try {
    return new HubTokenizer(definition, {});
  } catch (cause) {
    throw new LlavaError(
      "unsupported_model",
      "The model's tokenizer.json uses a part that cannot be run here. Take a LLaVA 1.5 checkpoint, for example llava-hf/llava-1.5-7b-hf.",
      { cause },
    );
  }
}

/** The texts between the images, written for the library: one more than there are images. */
function textRuns(pieces: readonly PromptPiece[], controls: ControlTokens): readonly string[] {
  const runs = [""];
  for (const piece of pieces) {
    if (piece.type === "image") runs.push("");
    else {
      const text = piece.type === "template" ? controls.read(piece.text) : controls.plain(piece.text);
      runs.push((runs.pop() ?? "") + text);
    }
  }
  return runs;
}

type TokenName = string | { readonly content: string } | null | undefined;

function nameOf(token: TokenName): string | undefined {
  return typeof token === "string" ? token : token?.content;
}

function idOf({ added_tokens: added, model }: TokenizerDefinition, token: TokenName): number | null {
  const name = nameOf(token);
  if (name === undefined) return null;
  return added.find(({ content }) => content === name)?.id ?? model.vocab[name] ?? null;
}

function largestId(definition: TokenizerDefinition): number {
  let largest = 0;
  for (const id of Object.values(definition.model.vocab)) largest = Math.max(largest, id);
  for (const token of definition.added_tokens) {
    if (token.content !== IMAGE_MARK) largest = Math.max(largest, token.id);
  }
  return largest;
}

const MAX_TOKENIZER_BYTES = 64 * 1024 * 1024;
const MAX_SETTINGS_BYTES = 4 * 1024 * 1024;
const NO_BYTES = new Uint8Array(0);
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

const token = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const settingsSchema = z.looseObject({
  bos_token: token,
  eos_token: token,
  add_bos_token: z.boolean().nullish(),
});
