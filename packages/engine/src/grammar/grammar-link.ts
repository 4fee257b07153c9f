/** What passes between the engine and the thread of a grammar, apart because importing the thread's program would run it. */

import type { GrammarSchema } from "./grammar-schema.ts";

/** How the thread is started. */
export interface GrammarTask extends GrammarSchema {
  /** Whether properties that the schema does not name may come. */
  readonly isOpen: boolean;
  /** By token id, each byte as GPT-2's byte-level alphabet writes it; empty for those that may never come. */
  readonly vocabulary: readonly string[];
  /** A token that stands for the end. */
  readonly endToken: number;
}

export type ToThread =
  /** Follow a new answer and write into `shared` (see MATCHER) what may come. */
  | { readonly type: "open"; readonly matcher: number; readonly shared: SharedArrayBuffer }
  | { readonly type: "accept"; readonly matcher: number; readonly id: number }
  | { readonly type: "close"; readonly matcher: number };

export type FromThread = { readonly type: "ready" } | { readonly type: "failed"; readonly message: string };

/**
 * Int32 words of a matcher's shared memory. `count`: tokens taken so far + 1, 0 before the first mask is there, negative
 * when a token was none that may come. `mayEnd`: 1 when the answer may end here. From `mask` on: bit i of word j is
 * set when token 32 j + i may come.
 */
export const MATCHER = { count: 0, mayEnd: 1, mask: 2 } as const;
export const REFUSED = -1;
