import { array, assert, asyncProperty, constant, nat, oneof, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { Admission, type Permit } from "./admission.ts";

const never = new AbortController().signal;

describe("Admission", () => {
  test("admits up to the limit, queues up to the bound, then says overloaded", async () => {
    const admission = new Admission({ concurrency: 2, maxWaiting: 1, maxWaitMs: 60_000 });
    const first = await admission.acquire(never);
    await admission.acquire(never);
    const third = admission.acquire(never);
    expect(admission).toMatchObject({ running: 2, waiting: 1, queueLength: 3 });
    await expect(admission.acquire(never)).rejects.toMatchObject({ code: "overloaded", status: 429 });
    first[Symbol.dispose]();
    await third;
    expect(admission).toMatchObject({ running: 2, waiting: 0 });
  });

  test("a permit disposed twice frees one place", async () => {
    const admission = new Admission({ concurrency: 2, maxWaiting: 0, maxWaitMs: 60_000 });
    const first = await admission.acquire(never);
    await admission.acquire(never);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    expect(admission.running).toBe(1);
  });

  test("who leaves while waiting leaves no trace", async () => {
    const admission = new Admission({ concurrency: 1, maxWaiting: 5, maxWaitMs: 60_000 });
    const running = await admission.acquire(never);
    const client = new AbortController();
    const waiting = admission.acquire(client.signal);
    const behind = admission.acquire(never);
    client.abort();
    await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
    expect(admission.waiting).toBe(1);
    running[Symbol.dispose]();
    (await behind)[Symbol.dispose]();
    expect(admission.queueLength).toBe(0);
    await expect(admission.acquire(AbortSignal.abort())).rejects.toMatchObject({ code: "cancelled" });
  });

  test("who can wait lets others go first, in the order in which they came", async () => {
    const admission = new Admission({ concurrency: 1, maxWaiting: 9, maxWaitMs: 60_000 });
    const running = await admission.acquire(never);
    const order: string[] = [];
    const wait = async (name: string, priority?: number): Promise<void> => {
      using _permit = await admission.acquire(never, priority);
      order.push(name);
    };
    const all = [wait("batch", 5), wait("chat"), wait("idle", 100), wait("batch too", 5), wait("chat too")];
    running[Symbol.dispose]();
    await Promise.all(all);
    expect(order).toEqual(["chat", "chat too", "batch", "batch too", "idle"]);
  });

  test("who waits too long is told overloaded", async () => {
    const admission = new Admission({ concurrency: 1, maxWaiting: 5, maxWaitMs: 5 });
    await admission.acquire(never);
    await expect(admission.acquire(never)).rejects.toThrow(/within 0.005 s/);
    expect(admission.waiting).toBe(0);
  });

  test("draining refuses the new and the waiting, and idle waits for the running", async () => {
    const admission = new Admission({ concurrency: 1, maxWaiting: 5, maxWaitMs: 60_000 });
    const running = await admission.acquire(never);
    const waiting = admission.acquire(never);
    admission.drain();
    await expect(waiting).rejects.toMatchObject({ code: "shutting_down", status: 503 });
    await expect(admission.acquire(never)).rejects.toMatchObject({ code: "shutting_down" });
    let isIdle = false;
    const idle = admission.idle().then(() => (isIdle = true));
    await Promise.resolve();
    expect(isIdle).toBe(false);
    running[Symbol.dispose]();
    await idle;
    await admission.idle();
  });

  test("retry-after grows with the queue and stays within 1 to 30 seconds", async () => {
    const admission = new Admission({ concurrency: 1, maxWaiting: 100, maxWaitMs: 60_000 });
    await admission.acquire(never);
    const alone = admission.retryAfterS();
    const waiters = Array.from({ length: 50 }, () => admission.acquire(never).catch(() => undefined));
    expect(admission.retryAfterS()).toBeGreaterThan(alone);
    expect(admission.retryAfterS()).toBe(30);
    admission.drain();
    await Promise.all(waiters);
  });

  test("any order of coming, leaving and ending keeps the counts within the limits and ends at zero", async () => {
    const step = oneof(
      constant({ do: "come" as const }),
      record({ do: constant("end" as const), who: nat(20) }),
      record({ do: constant("leave" as const), who: nat(20) }),
    );
    await assert(
      asyncProperty(array(step, { maxLength: 60 }), async (steps) => {
        const admission = new Admission({ concurrency: 3, maxWaiting: 2, maxWaitMs: 60_000 });
        const permits: Permit[] = [];
        const clients: AbortController[] = [];
        const pending: Promise<void>[] = [];
        for (const step of steps) {
          if (step.do === "come") {
            const client = new AbortController();
            clients.push(client);
            pending.push(
              admission.acquire(client.signal).then(
                (permit) => void permits.push(permit),
                () => undefined,
              ),
            );
          } else if (step.do === "end") permits[step.who % permits.length]?.[Symbol.dispose]();
          else clients[step.who % clients.length]?.abort();
          await new Promise(setImmediate);
          expect(admission.running).toBeLessThanOrEqual(3);
          expect(admission.waiting).toBeLessThanOrEqual(2);
          if (admission.waiting > 0) expect(admission.running).toBe(3);
        }
        admission.drain();
        await Promise.all(pending);
        for (const permit of permits) permit[Symbol.dispose]();
        expect(admission.queueLength).toBe(0);
      }),
      { numRuns: 50 },
    );
  });
});
