import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { interleave, type Interleaved } from "./interleave.ts";

interface Log {
  readonly begun: string[];
  readonly ended: string[];
}

async function* source(name: string, count: number, log: Log, everyMs = 1): AsyncGenerator<string> {
  log.begun.push(name);
  try {
    for (let i = 0; i < count; i++) {
      await sleep(everyMs);
      yield `${name}${i}`;
    }
  } finally {
    log.ended.push(name);
  }
}

async function all<T>(items: AsyncIterable<Interleaved<T>>): Promise<Interleaved<T>[]> {
  const list: Interleaved<T>[] = [];
  for await (const item of items) list.push(item);
  return list;
}

test("every source comes through whole and in its own order, with its index", async () => {
  const log: Log = { begun: [], ended: [] };
  const items = await all(interleave([source("a", 5, log), source("b", 0, log), source("c", 3, log)]));
  for (const [index, name, count] of [
    [0, "a", 5],
    [1, "b", 0],
    [2, "c", 3],
  ] as const) {
    const values = items.filter((item) => item.index === index).map(({ value }) => value);
    expect(values).toEqual(Array.from({ length: count }, (_, i) => `${name}${i}`));
  }
  expect(log.ended.sort()).toEqual(["a", "b", "c"]);
  expect(await all(interleave([]))).toEqual([]);
});

test("the others begin when the first has given an item, and then they run side by side", async () => {
  const log: Log = { begun: [], ended: [] };
  const seen: string[] = [];
  for await (const { value } of interleave([
    source("a", 9, log, 5),
    source("b", 9, log),
    source("c", 9, log),
  ])) {
    if (seen.length === 0) expect(log.begun.slice(0, 1)).toEqual(["a"]);
    seen.push(value);
  }
  expect(log.begun).toEqual(["a", "b", "c"]);
  expect(seen.indexOf("b8")).toBeLessThan(seen.indexOf("a8"));
});

test("a reader that leaves ends all that has begun", async () => {
  const log: Log = { begun: [], ended: [] };
  let count = 0;
  for await (const _ of interleave([source("a", 99, log), source("b", 99, log)])) if (++count === 6) break;
  expect(log.ended.sort()).toEqual(["a", "b"]);
});

test("what one throws comes through and ends the others", async () => {
  const log: Log = { begun: [], ended: [] };
  async function* broken(): AsyncGenerator<string> {
    yield "x";
    throw new Error("lost");
  }
  await expect(all(interleave([source("a", 99, log), broken()]))).rejects.toThrow("lost");
  expect(log.ended).toEqual(["a"]);
});
