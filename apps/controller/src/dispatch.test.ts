import { expect, it } from "vitest";
import { choose, drawLottery, findShortestQueue } from "./dispatch.ts";

const worker = (name: string, speed: number, queueLength: number) => ({ name, speed, queueLength });

it("takes the least queue per speed, the first of equals", () => {
  expect(findShortestQueue([worker("a", 1, 2), worker("b", 1, 1)])?.name).toBe("b");
  expect(findShortestQueue([worker("a", 1, 2), worker("b", 1, 2)])?.name).toBe("a");
  expect(findShortestQueue([worker("a", 1, 2), worker("b", 4, 6)])?.name).toBe("b");
  expect(findShortestQueue([worker("still", 0, 0), worker("b", 1, 9)])?.name).toBe("b");
  expect(findShortestQueue([])).toBeNull();
});

it("draws in proportion to speed", () => {
  const workers = [worker("a", 1, 0), worker("b", 3, 0), worker("c", 0, 0)];
  const draws = [0, 0.24, 0.25, 0.99, 1 - 2 ** -53].map((random) => drawLottery(workers, random)?.name);
  expect(draws).toEqual(["a", "a", "b", "b", "b"]);
});

it("has no winner where the speeds sum to nothing", () => {
  expect(drawLottery([], 0.5)).toBeNull();
  expect(drawLottery([worker("a", 0, 0), worker("b", 0.00009, 0)], 0.5)).toBeNull();
});

it("chooses by the method's name", () => {
  const workers = [worker("fast", 9, 100), worker("idle", 1, 0)];
  expect(choose("lottery", workers, () => 0.5)?.name).toBe("fast");
  expect(choose("shortest_queue", workers, () => 0.5)?.name).toBe("idle");
});
