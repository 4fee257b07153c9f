/** Proposes the next tokens without a model: those that followed the same tokens earlier (prompt lookup decoding). */

/** Numbers of tokens that must match; longer matches propose better, so they are tried first. */
const MATCH_LENGTHS = [4, 3, 2] as const;
/** Tokens that are searched for a match: the search must stay far cheaper than a step. */
const MAX_SEARCHED = 4096;

/**
 * Up to `most` ids that followed the last few of `ids` where they stood before, the latest place first; empty when they
 * never did.
 */
export function proposeTokens(ids: readonly number[], most: number): readonly number[] {
  if (most <= 0) return [];
  const oldest = Math.max(0, ids.length - MAX_SEARCHED);
  for (const length of MATCH_LENGTHS) {
    for (let end = ids.length - 1; end - length >= oldest; end--) {
      if (isMatch(ids, end, length)) return ids.slice(end, end + most);
    }
  }
  return [];
}

/** Whether the `length` ids before `end` are those at the very end. */
function isMatch(ids: readonly number[], end: number, length: number): boolean {
  for (let i = 1; i <= length; i++) if (ids[end - i] !== ids[ids.length - i]) return false;
  return true;
}
