/** Trains a byte-level byte pair encoding, and encodes and decodes text with it. */

/** Tokens: first the special ones, then the 256 bytes, then one for each merge; ids are positions in that order. */
export interface Vocabulary {
  readonly specials: readonly string[];
  /** Pairs of token ids, in the order in which they are merged. */
  readonly merges: readonly (readonly [left: number, right: number])[];
}

/**
 * The pattern of GPT-2 that splits text into words, which merges never cross: contractions; letters, numbers and signs
 * with the space before them; blanks. Besides, every ASCII digit is a word.
 */
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;
export const DIGIT = "[0-9]";
const DIGITS = new RegExp(DIGIT);
const AROUND_DIGITS = new RegExp(`(${DIGIT})`);

function* wordsOf(text: string): Generator<string> {
  if (!DIGITS.test(text)) {
    yield* text.match(WORDS) ?? [];
    return;
  }
  for (const part of text.split(AROUND_DIGITS)) yield* part.match(WORDS) ?? [];
}

const UTF8 = new TextEncoder();

/**
 * Learns merges from the corpus until the vocabulary has `size` tokens, or until no pair occurs twice.
 * The most frequent pair wins; of equally frequent ones the one with the larger ids, which
 * finishes words instead of beginning others.
 */
export function trainBpe(corpus: Iterable<string>, size: number, specials: readonly string[]): Vocabulary {
  const words = countWords(corpus, specials.length);
  const merges: (readonly [number, number])[] = [];
  for (let next = specials.length + 256; next < size; next++) {
    const best = mostFrequentPair(words);
    if (!best) break;
    merges.push(best);
    for (const word of words) word.ids = merged(word.ids, best[0], best[1], next);
  }
  return { specials, merges };
}

interface CountedWord {
  ids: readonly number[];
  readonly count: number;
}

function countWords(corpus: Iterable<string>, firstByte: number): CountedWord[] {
  const counts = new Map<string, number>();
  for (const text of corpus) for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, count]) => ({
    ids: Array.from(UTF8.encode(word), (byte) => byte + firstByte),
    count,
  }));
}

/** Factor that packs two token ids into one number. */
const PAIR = 0x100000;

function mostFrequentPair(words: readonly CountedWord[]): [number, number] | null {
  const counts = new Map<number, number>();
  for (const { ids, count } of words) {
    for (let i = 1; i < ids.length; i++) {
      const pair = (ids[i - 1] ?? 0) * PAIR + (ids[i] ?? 0);
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  }
  let best = -1;
  let most = 1;
  for (const [pair, count] of counts) {
    if (count > most || (count === most && best >= 0 && pair > best)) {
      best = pair;
      most = count;
    }
  }
  return best < 0 ? null : [Math.floor(best / PAIR), best % PAIR];
}

/** The ids with every pair of left and right replaced, from the left. */
function merged(ids: readonly number[], left: number, right: number, replacement: number): number[] {
  const result: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    const isPair = ids[i] === left && ids[i + 1] === right;
    result.push(isPair ? replacement : (ids[i] ?? 0));
    if (isPair) i++;
  }
  return result;
}

/** Largest number of words whose ids are kept: text from a generator has few words, text of users has many. */
const MAX_CACHED_WORDS = 10_000;

/** Encodes text as ids and decodes ids. Special tokens are never found in text: only the caller adds their ids. */
export class BytePairEncoder {
  readonly vocabulary: Vocabulary;
  /** Bytes of every token, by id; those of a special token are its name. */
  readonly #bytes: readonly Uint8Array[];
  /** Rank of each merge, by its pair. */
  readonly #ranks: ReadonlyMap<number, number>;
  readonly #cache = new Map<string, readonly number[]>();

  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary;
    this.#bytes = tokenBytes(vocabulary);
    this.#ranks = new Map(vocabulary.merges.map(([left, right], rank) => [left * PAIR + right, rank]));
  }

  get size(): number {
    return this.#bytes.length;
  }

  /** The id of a special token. */
  special(name: string): number {
    const id = this.vocabulary.specials.indexOf(name);
    if (id < 0) throw new RangeError(`The vocabulary has no special token ${JSON.stringify(name)}.`);
    return id;
  }

  encode(text: string): number[] {
    const ids: number[] = [];
    for (const word of wordsOf(text)) for (const id of this.#encodeWord(word)) ids.push(id);
    return ids;
  }

  /** Bytes that are no UTF-8 become U+FFFD; special tokens become their names. */
  decode(ids: Iterable<number>): string {
    const bytes: number[] = [];
    for (const id of ids) bytes.push(...this.bytesOf(id));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  }

  bytesOf(id: number): Uint8Array {
    const bytes = this.#bytes[id];
    if (!bytes)
      throw new RangeError(`Token ids go from 0 to ${this.#bytes.length - 1}, but ${id} was given.`);
    return bytes;
  }

  #encodeWord(word: string): readonly number[] {
    const known = this.#cache.get(word);
    if (known) return known;
    const ids = this.#mergeWord(word);
    if (this.#cache.size < MAX_CACHED_WORDS) this.#cache.set(word, ids);
    return ids;
  }

  #mergeWord(word: string): readonly number[] {
    const { specials, merges } = this.vocabulary;
    let ids: readonly number[] = Array.from(UTF8.encode(word), (byte) => byte + specials.length);
    for (;;) {
      let first = Infinity;
      for (let i = 1; i < ids.length; i++) {
        first = Math.min(first, this.#ranks.get((ids[i - 1] ?? 0) * PAIR + (ids[i] ?? 0)) ?? Infinity);
      }
      const pair = merges[first];
      if (!pair) return ids;
      ids = merged(ids, pair[0], pair[1], specials.length + 256 + first);
    }
  }
}

function tokenBytes({ specials, merges }: Vocabulary): Uint8Array[] {
  const tokens = specials.map((name) => UTF8.encode(name));
  for (let byte = 0; byte < 256; byte++) tokens.push(Uint8Array.of(byte));
  for (const [left, right] of merges) {
    const parts = [tokens[left], tokens[right]];
    tokens.push(Uint8Array.from(parts.flatMap((part) => (part ? [...part] : []))));
  }
  return tokens;
}

/** The printable characters that stand for the 256 bytes in tokenizer files: GPT-2's table, " " being "Ġ". */
const BYTE_CHARACTERS: readonly string[] = byteCharacters();

function byteCharacters(): string[] {
  let others = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : others++));
}

function isPrintable(byte: number): boolean {
  return (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte !== 173);
}

/** The characters of a token in tokenizer files. */
export function written(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => BYTE_CHARACTERS[byte] ?? "").join("");
}
