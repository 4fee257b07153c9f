import { array, assert, integer, property } from "fast-check";
import { expect, it } from "vitest";
import { proposeTokens } from "./prompt-lookup.ts";

it("prompt lookup proposes what followed the same tokens the last time", () => {
  expect(proposeTokens([1, 2, 3, 4, 1, 2], 3)).toEqual([3, 4, 1]);
  expect(proposeTokens([1, 2, 3, 1, 2, 9, 1, 2], 1)).toEqual([9]);
});

it("goes by the longest match", () => {
  expect(proposeTokens([5, 1, 2, 7, 6, 1, 2, 8, 5, 1, 2], 1)).toEqual([7]);
});

it("prompt lookup proposes nothing where the tokens are new, or too few are the same", () => {
  expect(proposeTokens([1, 2, 3, 4], 4)).toEqual([]);
  expect(proposeTokens([1, 9, 1], 4)).toEqual([]);
  expect(proposeTokens([], 4)).toEqual([]);
  expect(proposeTokens([1, 2, 1, 2], 0)).toEqual([]);
});

it("stands in the text behind a place that ends like the text", () => {
  assert(
    property(
      array(integer({ min: 0, max: 2 }), { maxLength: 40 }),
      integer({ min: 1, max: 6 }),
      (ids, most) => {
        const draft = proposeTokens(ids, most);
        expect(draft.length).toBeLessThanOrEqual(most);
        if (draft.length === 0) return;
        const asked = [...ids.slice(-2), ...draft].join();
        const found = ids.some((_, i) => ids.slice(i, i + 2 + draft.length).join() === asked);
        expect(found).toBe(true);
      },
    ),
  );
});
