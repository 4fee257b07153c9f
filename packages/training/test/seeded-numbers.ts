/** Makes numbers for tests that depend on a seed and a name alone. */
import type { UniformSource } from "../src/state/initialization.ts";

/** Numbers in [0, 1) of a linear congruential generator (Numerical Recipes), whose upper bits are used. */
export function seededNumbers(seed: number, name: string): UniformSource {
  let state = Array.from(name).reduce(
    (hash, character) => Math.imul(hash ^ character.charCodeAt(0), 0x01000193),
    seed,
  );
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 24;
  };
  for (let i = 0; i < 8; i++) next();
  return { next };
}
