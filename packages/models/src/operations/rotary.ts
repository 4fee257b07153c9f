/** Computes the tables of rotary position embedding (RoPE), which both lowerings share. */

/**
 * cos and sin of position · theta^(−2j/headSize), row-major [positions, headSize/2].
 * Angles are rounded to float32 like Hugging Face's Llama does, so that long contexts agree.
 */
export function rotaryTables(
  positions: number,
  headSize: number,
  theta: number,
): { cos: Float32Array; sin: Float32Array } {
  const half = headSize / 2;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let j = 0; j < half; j++) {
    const frequency = Math.fround(1 / Math.fround(theta ** ((2 * j) / headSize)));
    for (let position = 0; position < positions; position++) {
      const angle = Math.fround(position * frequency);
      cos[position * half + j] = Math.cos(angle);
      sin[position * half + j] = Math.sin(angle);
    }
  }
  return { cos, sin };
}
