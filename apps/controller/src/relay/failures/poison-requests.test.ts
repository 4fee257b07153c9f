import { expect, it } from "vitest";
import { PoisonRequests } from "./poison-requests.ts";

const POISON = Buffer.from('{"model":"m","prompt":"poison"}');
const HARMLESS = Buffer.from('{"model":"m","prompt":"rescue"}');
const MINUTES_MS = 60_000;

it("a poison request is a body over which two processes ended, and no other", async () => {
  const requests = new PoisonRequests(() => 0);
  await requests.recordCrash(POISON, "a");
  await requests.recordCrash(POISON, "a");
  await requests.check(POISON);
  await requests.recordCrash(POISON, "b");
  await expect(requests.check(POISON)).rejects.toMatchObject({ code: "quarantined", status: 422 });
  expect(HARMLESS).toHaveLength(POISON.length);
  await requests.check(HARMLESS);
});

it("a poison request is let through again after ten minutes", async () => {
  let nowMs = 0;
  const requests = new PoisonRequests(() => nowMs);
  for (const worker of ["a", "b"]) await requests.recordCrash(POISON, worker);
  nowMs = 9.9 * MINUTES_MS;
  await expect(requests.check(POISON)).rejects.toThrow("not tried again for 1 minutes");
  nowMs = 10 * MINUTES_MS;
  await requests.check(POISON);
  expect(requests.size).toBe(0);
});

it("a poison request is cleared by an answer", async () => {
  const requests = new PoisonRequests(() => 0);
  await requests.recordCrash(POISON, "a");
  await requests.clear(HARMLESS);
  expect(requests.size).toBe(1);
  await requests.clear(POISON);
  await requests.recordCrash(POISON, "b");
  await requests.check(POISON);
});

it("a thousand poison requests are remembered", async () => {
  const requests = new PoisonRequests(() => 0);
  for (let i = 0; i < 1_100; i += 1) await requests.recordCrash(Buffer.from(`${i}`), "a");
  expect(requests.size).toBe(1_024);
});
