import { array, assert, integer, property, record } from "fast-check";
import { describe, expect, it } from "vitest";
import { commonPrefix, type CachedPrefix } from "./cached-prefix.ts";
import { CacheSlots, type SlotOwner } from "./slots.ts";

const prefix = (...ids: readonly number[]): CachedPrefix => ({ ids, images: [], length: ids.length });
const owner = (...ids: readonly number[]): SlotOwner => ({ prefix: prefix(...ids) });
const count = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** Makes the slot keep these ids, as a sequence that ended leaves it. */
function remember(slots: CacheSlots, slot: number, ...ids: readonly number[]): void {
  slots.assign(slot, owner(...ids));
  slots.release(slot, true);
}

describe("a slot assignment", () => {
  it("is an empty slot while no prefix is kept, and none when all are in use", () => {
    const slots = new CacheSlots();
    expect(slots.findSlot(prefix(1, 2))).toBeUndefined();
    slots.setCount(2);
    expect(slots.findSlot(prefix(1, 2))).toEqual({ slot: 0, source: undefined, cached: 0 });
    slots.assign(0, owner());
    expect(slots.findSlot(prefix(1, 2))).toEqual({ slot: 1, source: undefined, cached: 0 });
    slots.assign(1, owner());
    expect(slots.findSlot(prefix(1, 2))).toBeUndefined();
    expect([slots.occupied, slots.firstFree, slots.taken]).toEqual([2, -1, 2]);
  });

  it("is the slot that keeps the conversation so far", () => {
    const slots = new CacheSlots();
    slots.setCount(3);
    remember(slots, 1, ...count(0, 30));
    expect(slots.findSlot(prefix(...count(0, 40)))).toEqual({ slot: 1, source: undefined, cached: 30 });
  });

  it("is a copy where most of a conversation would be lost", () => {
    const slots = new CacheSlots();
    slots.setCount(2);
    remember(slots, 0, ...count(0, 100));
    expect(slots.findSlot(prefix(...count(0, 20), 7, 7))).toEqual({ slot: 1, source: 0, cached: 20 });
    // So little is computed as quickly as it is copied.
    expect(slots.findSlot(prefix(...count(0, 5), 7, 7))).toEqual({ slot: 1, source: undefined, cached: 0 });
  });

  it("is a copy of a slot that is in use", () => {
    const slots = new CacheSlots();
    slots.setCount(2);
    slots.assign(0, owner(...count(0, 50)));
    expect(slots.findSlot(prefix(...count(0, 60)))).toEqual({ slot: 1, source: 0, cached: 50 });
  });

  it("is the slot that was left longest ago when nothing fits", () => {
    const slots = new CacheSlots();
    slots.setCount(3);
    for (const slot of [2, 0, 1]) remember(slots, slot, slot, slot, slot);
    expect(slots.findSlot(prefix(9))).toEqual({ slot: 2, source: undefined, cached: 0 });
  });

  it("does not find a prefix that cannot be trusted", () => {
    const slots = new CacheSlots();
    slots.setCount(1);
    slots.assign(0, owner(...count(0, 50)));
    slots.release(0, false);
    expect(slots.longestMatch(prefix(...count(0, 50)))).toBe(0);
  });
});

it("a slot has one owner at a time, and is released by an owner alone", () => {
  const slots = new CacheSlots();
  slots.setCount(1);
  expect(() => slots.release(0, true)).toThrow("Slot 0 has no owner.");
  slots.assign(0, owner());
  expect(() => slots.assign(0, owner())).toThrow("Slot 0 is in use.");
  expect(() => slots.setCount(0)).toThrow("Slot 0 is in use");
  expect(() => slots.assign(1, owner())).toThrow("There is no slot 1");
});

it("compaction brings the owners that decode together, and loses nothing that still has a slot", () => {
  const someSlot = record({ isDecoding: integer({ min: 0, max: 2 }), id: integer({ min: 1, max: 99 }) });
  assert(
    property(array(someSlot, { minLength: 1, maxLength: 8 }), (places) => {
      const slots = new CacheSlots();
      slots.setCount(places.length);
      const decoding: SlotOwner[] = [];
      const others: SlotOwner[] = [];
      for (const [slot, { isDecoding, id }] of places.entries()) {
        const someOwner = owner(id, id);
        if (isDecoding === 0) remember(slots, slot, id);
        else slots.assign(slot, someOwner);
        if (isDecoding === 1) decoding.push(someOwner);
        if (isDecoding === 2) others.push(someOwner);
      }
      if (decoding.length === 0) return;
      for (let moves = 0; ; moves++) {
        expect(moves).toBeLessThanOrEqual(places.length);
        const move = slots.compactionMove(decoding);
        if (!move) break;
        if (move.keep !== undefined) slots.move(move.to, move.keep);
        slots.move(move.from, move.to);
      }
      const taken = decoding.map((each) => slots.slotOf(each) ?? -1);
      const [first, last] = [Math.min(...taken), Math.max(...taken)];
      const between = others.filter((each) => {
        const slot = slots.slotOf(each) ?? -1;
        return slot > first && slot < last;
      });
      expect(last - first + 1).toBe(decoding.length + between.length);
      for (const each of others) expect(slots.slotOf(each)).toBeDefined();
      for (const each of [...decoding, ...others])
        expect(commonPrefix(each.prefix, prefix(...each.prefix.ids))).toBe(
          slots.lengthOf(slots.slotOf(each) ?? -1),
        );
    }),
  );
});
