/** Describes what passes between the engine and the thread of a grammar, whose own file runs as soon as it is imported. */

import type { GrammarSchema } from "./grammar-schema.ts";

/** What the thread is started with. */
export interface GrammarTask extends GrammarSchema {
  /** Whether properties that the schema does not name may come. */
  readonly isOpen: boolean;
  /** Texts by token id, each byte as GPT-2's byte-level alphabet writes it; empty for tokens that may never come. */
  readonly vocabulary: readonly string[];
  /** One of the model's end tokens, which stands for all of them. */
  readonly endToken: number;
}

export type ToThread =
  /** Asks to follow a new answer and to write masks into `shared` (see MATCHER). */
  | { readonly type: "open"; readonly matcher: number; readonly shared: SharedArrayBuffer }
  | { readonly type: "accept"; readonly matcher: number; readonly id: number }
  | { readonly type: "close"; readonly matcher: number };

export type FromThread = { readonly type: "ready" } | { readonly type: "failed"; readonly message: string };

/**
 * Int32 words of a matcher's shared memory. `count`: tokens taken so far + 1, 0 before the first mask is there, REFUSED
 * after a token that was not allowed. `mayEnd`: 1 when the answer may end here. From `mask` on: bit i of word j is
 * set when token 32 j + i may come.
 */
export const MATCHER = { count: 0, mayEnd: 1, mask: 2 } as const;
export const REFUSED = -1;
