import { expect, it } from "vitest";
import { Quarantine } from "./poison-requests.ts";

const POISON = Buffer.from('{"model":"m","prompt":"poison"}');
const HARMLESS = Buffer.from('{"model":"m","prompt":"rescue"}');
const MINUTES_MS = 60_000;

it("refuses a body over which two processes ended, and no other", async () => {
  const quarantine = new Quarantine(() => 0);
  await quarantine.blame(POISON, "a");
  await quarantine.blame(POISON, "a");
  await quarantine.check(POISON);
  await quarantine.blame(POISON, "b");
  await expect(quarantine.check(POISON)).rejects.toMatchObject({ code: "quarantined", status: 422 });
  expect(HARMLESS).toHaveLength(POISON.length);
  await quarantine.check(HARMLESS);
});

it("lets it through again after ten minutes", async () => {
  let nowMs = 0;
  const quarantine = new Quarantine(() => nowMs);
  for (const victim of ["a", "b"]) await quarantine.blame(POISON, victim);
  nowMs = 9.9 * MINUTES_MS;
  await expect(quarantine.check(POISON)).rejects.toThrow("not tried again for 1 minutes");
  nowMs = 10 * MINUTES_MS;
  await quarantine.check(POISON);
  expect(quarantine.size).toBe(0);
});

it("forgets what happened before an answer", async () => {
  const quarantine = new Quarantine(() => 0);
  await quarantine.blame(POISON, "a");
  await quarantine.absolve(HARMLESS);
  expect(quarantine.size).toBe(1);
  await quarantine.absolve(POISON);
  await quarantine.blame(POISON, "b");
  await quarantine.check(POISON);
});

it("remembers a thousand", async () => {
  const quarantine = new Quarantine(() => 0);
  for (let i = 0; i < 1_100; i += 1) await quarantine.blame(Buffer.from(`${i}`), "a");
  expect(quarantine.size).toBe(1_024);
});
