/** Orders the rows that the vision tower and the projector make of an image's tiles as the positions of its prompt. */

/** Consecutive positions of one image in the prompt. */
export type FeatureRun =
  /** Rows `first` to `first + count` of one tile's features. */
  | { readonly kind: "tile"; readonly tile: number; readonly first: number; readonly count: number }
  /** A row of the checkpoint that is the same for every image: `image_newline` of LLaVA-NeXT ends each row of tiles. */
  | { readonly kind: "learned"; readonly name: string };

/** Typed arrays of one element type, as far as rows are copied. */
interface Rows<T> {
  readonly length: number;
  subarray(start: number, end: number): T;
  set(values: T, offset: number): void;
}

/** All rows of all tiles, one tile after another. */
export function tilesInOrder(tiles: number, tokensPerTile: number): readonly FeatureRun[] {
  return Array.from({ length: tiles }, (_, tile) => ({ kind: "tile", tile, first: 0, count: tokensPerTile }));
}

/** Positions that the runs take in the prompt. */
export function countTokens(layout: readonly FeatureRun[]): number {
  return layout.reduce((sum, run) => sum + (run.kind === "tile" ? run.count : 1), 0);
}

/**
 * Writes the features of an image into `target` [positions, rowLength].
 * @param tiles features of each tile, [tokensPerTile, rowLength]
 * @param learned rows of the checkpoint by name, [rowLength]
 */
export function arrangeRows<T extends Rows<T>>(
  layout: readonly FeatureRun[],
  tiles: readonly T[],
  learned: ReadonlyMap<string, T>,
  target: T,
): void {
  const rowLength = target.length / countTokens(layout);
  let position = 0;
  for (const run of layout) {
    const from = run.kind === "tile" ? tiles[run.tile] : learned.get(run.name);
    if (from === undefined) throw new RangeError(`There are no features for ${JSON.stringify(run)}.`);
    const [first, count] = run.kind === "tile" ? [run.first, run.count] : [0, 1];
    target.set(from.subarray(first * rowLength, (first + count) * rowLength), position * rowLength);
    position += count;
  }
}
