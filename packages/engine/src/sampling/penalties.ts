/** Makes tokens that are in the text already less likely, and single tokens more or less likely, as a request asks. */

export interface Penalties {
  /**
   * Hugging Face's: logits of tokens of the prompt and the answer are divided by it where they are positive, multiplied
   * where they are not; 1 changes nothing.
   */
  readonly repetition: number;
  /** OpenAI's: taken off the logits of all tokens of the answer; 0 changes nothing. */
  readonly presence: number;
  /** OpenAI's: the same once for each time that the token is in the answer. */
  readonly frequency: number;
}

/** The tokens that penalties apply to. */
export interface SeenTokens {
  /** Tokens of the prompt's text, without those of images. */
  readonly prompt: ReadonlySet<number>;
  /** Number of times that each token is in the answer. */
  readonly counts: ReadonlyMap<number, number>;
}

export function isNeutral({ repetition, presence, frequency }: Penalties): boolean {
  return repetition === 1 && presence === 0 && frequency === 0;
}

/** Changes the logits in place: repetition first, then the others, as vLLM does. */
export function penalize(logits: Float32Array, penalties: Penalties, { prompt, counts }: SeenTokens): void {
  const { repetition, presence, frequency } = penalties;
  if (repetition !== 1) {
    for (const id of prompt) repeat(logits, id, repetition);
    for (const id of counts.keys()) if (!prompt.has(id)) repeat(logits, id, repetition);
  }
  if (presence === 0 && frequency === 0) return;
  for (const [id, count] of counts) add(logits, id, -(presence + frequency * count));
}

/** Adds to the logits in place. */
export function bias(logits: Float32Array, biases: ReadonlyMap<number, number>): void {
  for (const [id, value] of biases) add(logits, id, value);
}

/** Makes tokens impossible, in place. */
export function ban(logits: Float32Array, ids: Iterable<number>): void {
  for (const id of ids) if (id < logits.length) logits[id] = -Infinity;
}

function repeat(logits: Float32Array, id: number, penalty: number): void {
  const logit = logits[id];
  if (logit !== undefined) logits[id] = logit > 0 ? logit / penalty : logit * penalty;
}

function add(logits: Float32Array, id: number, value: number): void {
  const logit = logits[id];
  if (logit !== undefined) logits[id] = logit + value;
}
