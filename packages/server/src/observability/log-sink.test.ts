import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { createSink, droppedLogLines, type Sink } from "./log-sink.ts";

/** Stands in for an output: it takes `room` bytes, and fails with `failure` while that is set. */
class Place {
  text = "";
  room = Infinity;
  failure: string | null = null;
  numWrites = 0;
  readonly sink: Sink = createSink((bytes) => {
    this.numWrites += 1;
    if (this.failure !== null) throw Object.assign(new Error("no"), { code: this.failure });
    const taken = bytes.subarray(0, this.room);
    if (this.room !== Infinity) this.room -= taken.length;
    if (this.room === 0) this.failure = "EAGAIN";
    this.text += Buffer.from(taken).toString();
    return taken.length;
  });
}

/** The number of lines that are lost while `act` runs. */
async function lostDuring(act: () => Promise<void>): Promise<number> {
  const before = droppedLogLines();
  await act();
  return droppedLogLines() - before;
}

test("log sink: lines of one turn are written together, in order, and a long batch at once", async () => {
  const place = new Place();
  for (const line of ["one\n", "two\n", "three\n"]) place.sink.write(line);
  expect(place.text).toBe("");
  await nextTurn();
  expect(place).toMatchObject({ text: "one\ntwo\nthree\n", numWrites: 1 });
  for (let line = 0; line < 40; line++) place.sink.write(`${"x".repeat(1_000)}\n`);
  expect(place.numWrites).toBe(3);
});

test("log sink: remaining lines are written when the process ends", () => {
  const place = new Place();
  place.sink.write("last words\n");
  place.sink.finish();
  expect(place.text).toBe("last words\n");
});

test("log sink: a full disk loses its lines only, and is written again when it has room", async () => {
  const place = new Place();
  place.failure = "ENOSPC";
  const numLost = await lostDuring(async () => {
    for (let turn = 0; turn < 5; turn++) {
      place.sink.write("lost\n");
      place.sink.write("lost, too\n");
      await nextTurn();
    }
  });
  expect(numLost).toBe(10);
  expect(place.numWrites).toBe(5);
  expect(place.sink.reason()).toBe("ENOSPC");
  place.failure = null;
  place.sink.write("there\n");
  await nextTurn();
  expect(place.text).toBe("there\n");
});

test("log sink: a partly written line does not swallow the next one", async () => {
  const place = new Place();
  place.room = 8;
  place.sink.write("whole\nhalf of it\n");
  await nextTurn();
  expect(place.text).toBe("whole\nha");
  place.failure = "EPIPE";
  expect(await lostDuring(async () => place.sink.finish())).toBe(1);
  place.failure = null;
  place.room = Infinity;
  place.sink.write("next\n");
  place.sink.finish();
  expect(place.text).toBe("whole\nha\nnext\n");
});

test("log sink: a slow reader gets everything up to a limit, without a busy loop", async () => {
  const place = new Place();
  place.room = 10;
  const line = `${"y".repeat(9_999)}\n`;
  const numLost = await lostDuring(async () => {
    for (let turn = 0; turn < 200; turn++) {
      place.sink.write(line);
      await nextTurn();
    }
  });
  // A MiB of two million bytes is held; the batches behind it are dropped whole.
  expect(numLost).toBeGreaterThan(90);
  expect(numLost).toBeLessThan(97);
  expect(place.numWrites).toBeLessThan(250);
  place.failure = null;
  place.room = Infinity;
  await vi.waitFor(() => expect(place.text).toBe(line.repeat(200 - numLost)));
});

test("log sink: a line that is too long is replaced by a notice", async () => {
  const place = new Place();
  expect(
    await lostDuring(async () => {
      place.sink.write(`{"msg":"${"z".repeat(20_000)}"}\n`);
      await nextTurn();
    }),
  ).toBe(1);
  expect(JSON.parse(place.text)).toMatchObject({ msg: "a line of 20011 characters was left out" });
});
