import { expect, test } from "vitest";
import { EventQueue } from "./event-queue.ts";

async function all<T>(queue: EventQueue<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of queue) items.push(item);
  return items;
}

test("a reader gets what was there before it, what comes while it waits, and the end", async () => {
  const queue = new EventQueue<number>();
  queue.push(1);
  queue.push(2);
  const reading = all(queue);
  for (const item of [3, 4, 5]) {
    await new Promise(setImmediate);
    queue.push(item);
  }
  queue.push(6);
  queue.close();
  expect(await reading).toEqual([1, 2, 3, 4, 5, 6]);
});

test("nothing comes after the end", async () => {
  const queue = new EventQueue<number>();
  queue.push(1);
  queue.close();
  queue.push(2);
  queue.close();
  expect(queue.isClosed).toBe(true);
  expect(await all(queue)).toEqual([1]);
  expect(await all(queue)).toEqual([]);
});

test("the end wakes a reader that waits", async () => {
  const queue = new EventQueue<number>();
  const reading = all(queue);
  await new Promise(setImmediate);
  queue.close();
  expect(await reading).toEqual([]);
});
