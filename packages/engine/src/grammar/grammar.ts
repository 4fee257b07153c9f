/** Keeps the grammars of answers that must be JSON, each in a thread of its own (grammar-thread.ts). */
import { type AnswerFormat, LlavaError } from "@llava/protocol";
import { grammarSchema, type GrammarSchema } from "./grammar-schema.ts";
import { grammarRefused, GrammarThread } from "./grammar-thread-handle.ts";
import type { GrammarMatcher } from "./thread-matcher.ts";

export type { GrammarMatcher };

/** The model's tokens, as far as a grammar needs them. */
export interface GrammarTokens {
  /** Number of logits. */
  readonly vocabSize: number;
  readonly eosTokenIds: readonly number[];
  /** Ids that add no text to an answer. */
  readonly specialIds: ReadonlySet<number>;
  readonly tokenBytes: (id: number) => Uint8Array;
}

/** Most grammars: each is a thread with some 50 MB. Unused ones are ended when another is needed, the longest unused first. */
const MAX_GRAMMARS = 4;

export class Grammars implements Disposable {
  readonly #tokens: GrammarTokens;
  /** Threads by the grammar's source; the longest unused comes first. */
  readonly #threads = new Map<string, GrammarThread>();
  #vocabulary: readonly string[] | undefined;

  constructor(tokens: GrammarTokens) {
    this.#tokens = tokens;
  }

  /** Throws `invalid_request` for a schema that cannot be followed, `overloaded` when all places are in use. */
  async open(source: AnswerFormat): Promise<GrammarMatcher> {
    const schema = grammarSchema(source.type === "json" ? { type: "object" } : source.schema);
    const key = JSON.stringify([source.type, schema]);
    if (this.#threads.get(key)?.isAlive === false) this.#threads.delete(key);
    const thread = this.#threads.get(key) ?? this.#start(schema, source.type === "json");
    this.#threads.delete(key);
    this.#threads.set(key, thread);
    thread.users += 1;
    try {
      await thread.ready;
      return thread.open(this.#tokens.vocabSize);
    } catch (error) {
      thread.users -= 1;
      if (this.#threads.get(key) === thread) this.#threads.delete(key);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const thread of this.#threads.values()) thread[Symbol.dispose]();
    this.#threads.clear();
  }

  #start(schema: GrammarSchema, isOpen: boolean): GrammarThread {
    const [endToken] = this.#tokens.eosTokenIds;
    if (endToken === undefined)
      throw grammarRefused("The model has no end token, without which an answer in JSON never ends");
    for (const [key, thread] of this.#threads) {
      if (this.#threads.size < MAX_GRAMMARS) break;
      if (thread.isAlive && thread.users > 0) continue;
      thread[Symbol.dispose]();
      this.#threads.delete(key);
    }
    if (this.#threads.size >= MAX_GRAMMARS) {
      throw new LlavaError(
        "overloaded",
        `Answers after ${this.#threads.size} other schemas are being written; try again in a moment.`,
      );
    }
    this.#vocabulary ??= byteLevel(this.#tokens);
    return new GrammarThread({
      ...schema,
      isOpen,
      vocabulary: this.#vocabulary,
      endToken,
    });
  }
}

/**
 * The text of each token with every byte as a visible character, as byte-level tokenizers have written theirs since GPT-2.
 * JSON in one line has no raw control characters, but the library lets them into strings of a given length: tokens with
 * such characters are left out.
 */
function byteLevel({ vocabSize, specialIds, tokenBytes }: GrammarTokens): readonly string[] {
  const isVisible = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad && byte <= 0xff);
  let numHidden = 0;
  const alphabet = Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(isVisible(byte) ? byte : 0x100 + numHidden++),
  );
  return Array.from({ length: vocabSize }, (_, id) => {
    const bytes = tokenBytes(id);
    const isWord = !specialIds.has(id) && bytes.every((byte) => byte >= 0x20);
    return isWord ? Array.from(bytes, (byte) => alphabet[byte]).join("") : "";
  });
}
