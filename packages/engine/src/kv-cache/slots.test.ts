import { array, assert, integer, property, record } from "fast-check";
import { describe, expect, it } from "vitest";
import { commonPrefix, type CachedPrefix } from "./cached-prefix.ts";
import { CacheSlots, type SlotOwner } from "./slots.ts";

const prefix = (...ids: readonly number[]): CachedPrefix => ({ ids, images: [], length: ids.length });
const owner = (...ids: readonly number[]): SlotOwner => ({ prefix: prefix(...ids) });
const count = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** A row in which these ids were computed, and left. */
function remember(rows: CacheSlots, row: number, ...ids: readonly number[]): void {
  rows.assign(row, owner(...ids));
  rows.release(row, true);
}

describe("a assignment", () => {
  it("is an empty row while nothing is known, and none when all are in use", () => {
    const rows = new CacheSlots();
    expect(rows.findSlot(prefix(1, 2))).toBeUndefined();
    rows.setCount(2);
    expect(rows.findSlot(prefix(1, 2))).toEqual({ row: 0, source: undefined, cached: 0 });
    rows.assign(0, owner());
    expect(rows.findSlot(prefix(1, 2))).toEqual({ row: 1, source: undefined, cached: 0 });
    rows.assign(1, owner());
    expect(rows.findSlot(prefix(1, 2))).toBeUndefined();
    expect([rows.occupied, rows.firstFree, rows.taken]).toEqual([2, -1, 2]);
  });

  it("is the row that remembers the conversation so far", () => {
    const rows = new CacheSlots();
    rows.setCount(3);
    remember(rows, 1, ...count(0, 30));
    expect(rows.findSlot(prefix(...count(0, 40)))).toEqual({ row: 1, source: undefined, cached: 30 });
  });

  it("is a copy where most of a conversation would be lost", () => {
    const rows = new CacheSlots();
    rows.setCount(2);
    remember(rows, 0, ...count(0, 100));
    expect(rows.findSlot(prefix(...count(0, 20), 7, 7))).toEqual({ row: 1, source: 0, cached: 20 });
    // So little is computed as quickly as it is copied.
    expect(rows.findSlot(prefix(...count(0, 5), 7, 7))).toEqual({ row: 1, source: undefined, cached: 0 });
  });

  it("is a copy of a row that is in use", () => {
    const rows = new CacheSlots();
    rows.setCount(2);
    rows.assign(0, owner(...count(0, 50)));
    expect(rows.findSlot(prefix(...count(0, 60)))).toEqual({ row: 1, source: 0, cached: 50 });
  });

  it("is the row that was left longest ago when nothing fits", () => {
    const rows = new CacheSlots();
    rows.setCount(3);
    for (const row of [2, 0, 1]) remember(rows, row, row, row, row);
    expect(rows.findSlot(prefix(9))).toEqual({ row: 2, source: undefined, cached: 0 });
  });

  it("remembers nothing that cannot be trusted", () => {
    const rows = new CacheSlots();
    rows.setCount(1);
    rows.assign(0, owner(...count(0, 50)));
    rows.release(0, false);
    expect(rows.longestMatch(prefix(...count(0, 50)))).toBe(0);
  });
});

it("sits one in a row, and lets nobody leave who is not there", () => {
  const rows = new CacheSlots();
  rows.setCount(1);
  expect(() => rows.release(0, true)).toThrow("Nobody sits in row 0.");
  rows.assign(0, owner());
  expect(() => rows.assign(0, owner())).toThrow("Row 0 is in use.");
  expect(() => rows.setCount(0)).toThrow("Row 0 is in use");
  expect(() => rows.assign(1, owner())).toThrow("There is no row 1");
});

it("brings those who decode together, and loses nothing that still has a place", () => {
  const someRow = record({ isDecoding: integer({ min: 0, max: 2 }), id: integer({ min: 1, max: 99 }) });
  assert(
    property(array(someRow, { minLength: 1, maxLength: 8 }), (places) => {
      const rows = new CacheSlots();
      rows.setCount(places.length);
      const decoding: SlotOwner[] = [];
      const others: SlotOwner[] = [];
      for (const [row, { isDecoding, id }] of places.entries()) {
        const who = owner(id, id);
        if (isDecoding === 0) remember(rows, row, id);
        else rows.assign(row, who);
        if (isDecoding === 1) decoding.push(who);
        if (isDecoding === 2) others.push(who);
      }
      if (decoding.length === 0) return;
      for (let moves = 0; ; moves++) {
        expect(moves).toBeLessThanOrEqual(places.length);
        const move = rows.compactionMove(decoding);
        if (!move) break;
        if (move.keep !== undefined) rows.move(move.to, move.keep);
        rows.move(move.from, move.to);
      }
      const taken = decoding.map((who) => rows.rowOf(who) ?? -1);
      const [first, last] = [Math.min(...taken), Math.max(...taken)];
      const between = others.filter((who) => {
        const row = rows.rowOf(who) ?? -1;
        return row > first && row < last;
      });
      expect(last - first + 1).toBe(decoding.length + between.length);
      for (const who of others) expect(rows.rowOf(who)).toBeDefined();
      for (const who of [...decoding, ...others])
        expect(commonPrefix(who.prefix, prefix(...who.prefix.ids))).toBe(
          rows.lengthOf(rows.rowOf(who) ?? -1),
        );
    }),
  );
});
