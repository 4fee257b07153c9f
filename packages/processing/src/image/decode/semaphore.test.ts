import { expect, test } from "vitest";
import { Semaphore } from "./semaphore.ts";

const open = new AbortController().signal;
const turn = (): Promise<void> => new Promise(setImmediate);

/** A piece of work that notes its begin and ends when it is told to. */
function work(log: string[], name: string): { run: () => Promise<string>; end: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = async (): Promise<string> => {
    log.push(name);
    await promise;
    return name;
  };
  return { run, end: resolve };
}

test("so many at a time, in the order in which they came", async () => {
  const gate = new Semaphore(2);
  const log: string[] = [];
  const works = ["a", "b", "c", "d"].map((name) => work(log, name));
  const passing = works.map(({ run }) => gate.pass(run, open));
  await turn();
  expect(log).toEqual(["a", "b"]);
  works[1]?.end();
  await turn();
  expect(log).toEqual(["a", "b", "c"]);
  for (const { end } of works) end();
  expect(await Promise.all(passing)).toEqual(["a", "b", "c", "d"]);
});

test("who leaves the line takes no place, and leaves no listener behind", async () => {
  const gate = new Semaphore(1);
  const log: string[] = [];
  const [first, second, third] = [work(log, "first"), work(log, "second"), work(log, "third")];
  const controller = new AbortController();
  const passing = [gate.pass(first.run, open), gate.pass(third.run, open)];
  const leaving = gate.pass(second.run, controller.signal);
  controller.abort(new Error("gone"));
  await expect(leaving).rejects.toThrow("gone");
  first.end();
  third.end();
  await Promise.all(passing);
  expect(log).toEqual(["first", "third"]);
  await expect(gate.pass(second.run, controller.signal)).rejects.toThrow("gone");
});

test("who leaves at the very moment of its turn passes the place on", async () => {
  const gate = new Semaphore(1);
  const log: string[] = [];
  const [first, last] = [work(log, "first"), work(log, "last")];
  const controller = new AbortController();
  const passing = gate.pass(first.run, open);
  const leaving = gate.pass(async () => {
    controller.signal.throwIfAborted();
    return "never";
  }, controller.signal);
  const waiting = gate.pass(last.run, open);
  first.end();
  await passing;
  controller.abort(new Error("gone"));
  await expect(leaving).rejects.toThrow("gone");
  last.end();
  expect(await waiting).toBe("last");
});

test("failed work gives its place back", async () => {
  const gate = new Semaphore(1);
  const fail = async (): Promise<never> => await Promise.reject(new Error("broken"));
  await expect(gate.pass(fail, open)).rejects.toThrow("broken");
  await expect(gate.pass(async () => await Promise.resolve("fine"), open)).resolves.toBe("fine");
});
