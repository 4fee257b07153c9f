/**
 * Lists the bytes that each token stands for: the tokenizer library decodes whole lists only, and a stream of tokens must be
 * turned into text one by one, with characters that are spread over several tokens.
 */
import { LlavaError } from "@llava/protocol";
import type { TokenizerDefinition } from "./tokenizer-definition.ts";

export interface TokenBytes {
  /** Indexed by token id; ids that the vocabulary lacks are undefined. */
  readonly bytes: readonly (Uint8Array | undefined)[];
  readonly stripsLeadingSpace: boolean;
}

/** Reads the two kinds of decoder of Llama models: byte-level (GPT-2's alphabet) and sentencepiece's (`▁` and `<0x0A>`). */
export function readDecoder(definition: TokenizerDefinition): TokenBytes {
  const parts = decoderParts(definition.decoder);
  const types = new Set(parts.map((part) => part["type"]));
  const isByteLevel = types.has("ByteLevel");
  const isSentencepiece = types.has("Metaspace") || (types.has("Replace") && types.has("Fuse"));
  if (isByteLevel === isSentencepiece) {
    throw new LlavaError(
      "unsupported_model",
      `The model's tokenizer.json has a decoder of the kind ${[...types].join(" + ") || "none"}; byte-level and sentencepiece ones can be run. Take a LLaVA 1.5 checkpoint, for example llava-hf/llava-1.5-7b-hf.`,
    );
  }
  const toBytes = isByteLevel ? byteLevelBytes : sentencepieceBytes;
  const bytes: (Uint8Array | undefined)[] = [];
  for (const [token, id] of Object.entries(definition.model.vocab)) bytes[id] = toBytes(token);
  for (const token of definition.added_tokens) bytes[token.id] = encoder.encode(token.content);
  const stripsLeadingSpace = types.has("Strip") || (types.has("Metaspace") && metaspaceStrips(parts));
  return { bytes, stripsLeadingSpace };
}

function decoderParts(decoder: TokenizerDefinition["decoder"]): readonly Readonly<Record<string, unknown>>[] {
  if (decoder === null) return [];
  const parts = decoder["decoders"];
  return decoder.type === "Sequence" && Array.isArray(parts) ? parts : [decoder];
}

function metaspaceStrips(parts: readonly Readonly<Record<string, unknown>>[]): boolean {
  const metaspace = parts.find((part) => part["type"] === "Metaspace");
  return metaspace?.["prepend_scheme"] !== "never" && metaspace?.["add_prefix_space"] !== false;
}

const encoder = new TextEncoder();

function sentencepieceBytes(token: string): Uint8Array {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
  return byte === undefined
    ? encoder.encode(token.replaceAll("▁", " "))
    : Uint8Array.of(Number.parseInt(byte, 16));
}

/** A token outside the alphabet is taken as it stands. */
function byteLevelBytes(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = BYTE_LEVEL.get(character);
    if (byte === undefined) return encoder.encode(token);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** GPT-2's alphabet: printable bytes are themselves, the others U+0100 onwards in their order. */
const BYTE_LEVEL: ReadonlyMap<string, number> = new Map(
  (function* alphabet(): Generator<[string, number]> {
    let next = 256;
    for (let byte = 0; byte < 256; byte++) {
      const isPrintable =
        (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
      yield [String.fromCodePoint(isPrintable ? byte : next++), byte];
    }
  })(),
);
