/** What the decode pool relies on in p-queue. */
import PQueue from "p-queue";
import { expect, test } from "vitest";

const open = new AbortController().signal;
const turn = (): Promise<void> => new Promise(setImmediate);

/** A piece of work that notes its begin and ends with `end`. */
function work(log: string[], name: string): { run: () => Promise<string>; end: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = async (): Promise<string> => {
    log.push(name);
    await promise;
    return name;
  };
  return { run, end: resolve };
}

test("a limited number of tasks runs at a time, in the order in which they came", async () => {
  const queue = new PQueue({ concurrency: 2 });
  const log: string[] = [];
  const works = ["a", "b", "c", "d"].map((name) => work(log, name));
  const passing = works.map(({ run }) => queue.add(run, { signal: open }));
  await turn();
  expect(log).toEqual(["a", "b"]);
  works[1]?.end();
  await turn();
  expect(log).toEqual(["a", "b", "c"]);
  for (const { end } of works) end();
  expect(await Promise.all(passing)).toEqual(["a", "b", "c", "d"]);
});

test("a task of a higher priority goes first, those of the same priority in order", async () => {
  const queue = new PQueue({ concurrency: 1 });
  const log: string[] = [];
  const works = ["running", "tiles 1", "tiles 2", "header 1", "header 2"].map((name) => work(log, name));
  const passing = works.map(({ run }, i) => queue.add(run, { priority: i < 3 ? 0 : 1 }));
  for (const { end } of works) end();
  await Promise.all(passing);
  expect(log).toEqual(["running", "header 1", "header 2", "tiles 1", "tiles 2"]);
});

test("a task that is aborted while it waits never runs, and its promise rejects at once", async () => {
  const queue = new PQueue({ concurrency: 1 });
  const log: string[] = [];
  const [first, second, third] = [work(log, "first"), work(log, "second"), work(log, "third")];
  const controller = new AbortController();
  const passing = [queue.add(first.run), queue.add(third.run)];
  const leaving = queue.add(second.run, { signal: controller.signal });
  controller.abort(new Error("gone"));
  await expect(leaving).rejects.toThrow("gone");
  first.end();
  third.end();
  await Promise.all(passing);
  expect(log).toEqual(["first", "third"]);
  await expect(queue.add(second.run, { signal: controller.signal })).rejects.toThrow("gone");
});

test("a task that is aborted as its turn comes passes the place on", async () => {
  const queue = new PQueue({ concurrency: 1 });
  const log: string[] = [];
  const [first, last] = [work(log, "first"), work(log, "last")];
  const controller = new AbortController();
  const passing = queue.add(first.run);
  const leaving = queue.add(
    async () => {
      await turn();
      controller.signal.throwIfAborted();
      return "never";
    },
    { signal: controller.signal },
  );
  const waiting = queue.add(last.run);
  first.end();
  await passing;
  controller.abort(new Error("gone"));
  await expect(leaving).rejects.toThrow("gone");
  last.end();
  expect(await waiting).toBe("last");
});

test("failed work gives its place back", async () => {
  const queue = new PQueue({ concurrency: 1 });
  const fail = async (): Promise<never> => await Promise.reject(new Error("broken"));
  await expect(queue.add(fail)).rejects.toThrow("broken");
  await expect(queue.add(async () => await Promise.resolve("fine"))).resolves.toBe("fine");
});
