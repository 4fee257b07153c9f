/** A tokenizer of 32,000 ids without a merge: each byte is a token, and words that only a model can say fill the rest. */
import { IMAGE_TOKEN, PAD_TOKEN, TOKENS } from "./shapes.ts";

export const BOS_TOKEN = 1;
export const EOS_TOKEN = 2;
const SPECIALS = ["<unk>", "<s>", "</s>"];

/** All tokens in the order of their ids, in GPT-2's spelling of bytes. */
export function tokenNames(): string[] {
  const names = [...SPECIALS, ...byteNames()];
  for (let i = names.length; i < TOKENS; i++) names.push(`Ġw${i}`);
  return names;
}

/** tokenizer.json and tokenizer_config.json. */
export function tokenizerFiles(context: number): { tokenizer: unknown; settings: unknown } {
  const added = [
    ...SPECIALS.map((content, id) => addedToken(id, content)),
    addedToken(IMAGE_TOKEN, "<image>"),
    addedToken(PAD_TOKEN, "<pad>"),
  ];
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { "<s>": { id: "<s>", ids: [BOS_TOKEN], tokens: ["<s>"] } },
    },
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: "<unk>",
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(tokenNames().map((name, id) => [name, id])),
      merges: [],
    },
  };
  const settings = {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: "<s>",
    eos_token: "</s>",
    unk_token: "<unk>",
    pad_token: "<pad>",
    image_token: "<image>",
    model_max_length: context,
    clean_up_tokenization_spaces: false,
  };
  return { tokenizer, settings };
}

function addedToken(id: number, content: string): Record<string, unknown> {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

/** GPT-2's: bytes that print stand for themselves, the others for the characters from U+0100 on. */
function byteNames(): string[] {
  let others = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const prints = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCodePoint(prints ? byte : others++);
  });
}
