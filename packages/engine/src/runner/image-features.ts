/** Arranges the features of an image's tiles as the positions of its prompt. */
import { arrangeRows, type ImagePlan } from "@llava/processing";
import { Value } from "@llava/runtime";

/** Rows of the checkpoint that stand between those of tiles: none of the plans makes use of them yet. */
const LEARNED_ROWS: ReadonlyMap<string, Uint8Array> = new Map();

/**
 * Features [tokens, hidden] of an image, on the host. Takes over those of its tiles, [tokensPerTile, hidden] each, on the
 * host and of one element type.
 */
export function imageFeatures(
  { layout, numTokens, tokensPerTile }: ImagePlan,
  tiles: readonly Value[],
): Value {
  const [first] = tiles;
  if (first === undefined) throw new RangeError("An image has at least one tile.");
  const [run] = layout;
  const isWhole = run?.kind === "tile" && run.first === 0 && run.count === tokensPerTile;
  if (tiles.length === 1 && layout.length === 1 && isWhole) return first;
  using owned = new DisposableStack();
  for (const tile of tiles) owned.use(tile);
  const features = Value.zeros(first.dtype, [numTokens, first.shape[1] ?? 0]);
  arrangeRows(layout, tiles.map(bytesOf), LEARNED_ROWS, bytesOf(features));
  return features;
}

function bytesOf(value: Value): Uint8Array {
  const { buffer, byteOffset, byteLength } = value.data();
  return new Uint8Array(buffer, byteOffset, byteLength);
}
