import { array, assert, asyncProperty, constant, nat, oneof, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { AdmissionQueue, type Permit, type QueuePlace } from "./admission-queue.ts";

const never = new AbortController().signal;

describe("AdmissionQueue", () => {
  test("admits up to the limit, queues up to the bound, then refuses with overloaded", async () => {
    const queue = new AdmissionQueue({ concurrency: 2, maxWaiting: 1, maxWaitMs: 60_000 });
    const first = await queue.acquire(never);
    await queue.acquire(never);
    const third = queue.acquire(never);
    expect(queue).toMatchObject({ running: 2, waiting: 1 });
    await expect(queue.acquire(never)).rejects.toMatchObject({ code: "overloaded", status: 429 });
    first[Symbol.dispose]();
    await third;
    expect(queue).toMatchObject({ running: 2, waiting: 0 });
  });

  test("a permit disposed twice frees one place", async () => {
    const queue = new AdmissionQueue({ concurrency: 2, maxWaiting: 0, maxWaitMs: 60_000 });
    const first = await queue.acquire(never);
    await queue.acquire(never);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    expect(queue.running).toBe(1);
  });

  test("a request that is cancelled while it waits leaves no trace", async () => {
    const queue = new AdmissionQueue({ concurrency: 1, maxWaiting: 5, maxWaitMs: 60_000 });
    const running = await queue.acquire(never);
    const client = new AbortController();
    const waiting = queue.acquire(client.signal);
    const behind = queue.acquire(never);
    client.abort();
    await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
    expect(queue.waiting).toBe(1);
    running[Symbol.dispose]();
    (await behind)[Symbol.dispose]();
    expect([queue.running, queue.waiting]).toEqual([0, 0]);
    await expect(queue.acquire(AbortSignal.abort())).rejects.toMatchObject({ code: "cancelled" });
  });

  test("the order is priority, then arrival", async () => {
    const queue = new AdmissionQueue({ concurrency: 1, maxWaiting: 9, maxWaitMs: 60_000 });
    const running = await queue.acquire(never);
    const order: string[] = [];
    const wait = async (name: string, priority = 0): Promise<void> => {
      using _permit = await queue.acquire(never, { priority });
      order.push(name);
    };
    const all = [wait("batch", 5), wait("chat"), wait("idle", 100), wait("batch too", 5), wait("chat too")];
    running[Symbol.dispose]();
    await Promise.all(all);
    expect(order).toEqual(["chat", "chat too", "batch", "batch too", "idle"]);
  });

  test("a request that waits is given its place, which changes as others are admitted, and null at the end", async () => {
    const queue = new AdmissionQueue({ concurrency: 1, maxWaiting: 9 });
    const running = await queue.acquire(never);
    const places: (() => QueuePlace | null)[] = [];
    const onQueued = (place: () => QueuePlace | null): number => places.push(place);
    const first = queue.acquire(never, { onQueued });
    void queue.acquire(never, { onQueued, priority: 1 });
    void queue.acquire(never, { onQueued });
    expect(places.map((place) => place()?.position)).toEqual([1, 3, 2]);
    expect(places[1]?.()).toEqual({ position: 3, length: 3 });
    running[Symbol.dispose]();
    await first;
    expect(places.map((place) => place()?.position ?? null)).toEqual([null, 2, 1]);
  });

  test("a request that waits too long is refused with overloaded", async () => {
    const queue = new AdmissionQueue({ concurrency: 1, maxWaiting: 5, maxWaitMs: 5 });
    await queue.acquire(never);
    await expect(queue.acquire(never)).rejects.toThrow(/within 0.005 s/);
    expect(queue.waiting).toBe(0);
  });

  test("draining refuses the new and the waiting, and idle waits for the running", async () => {
    const queue = new AdmissionQueue({ concurrency: 1, maxWaiting: 5, maxWaitMs: 60_000 });
    const running = await queue.acquire(never);
    const waiting = queue.acquire(never);
    queue.drain();
    await expect(waiting).rejects.toMatchObject({ code: "shutting_down", status: 503 });
    await expect(queue.acquire(never)).rejects.toMatchObject({ code: "shutting_down" });
    let isIdle = false;
    const idle = queue.idle().then(() => (isIdle = true));
    await Promise.resolve();
    expect(isIdle).toBe(false);
    running[Symbol.dispose]();
    await idle;
    await queue.idle();
  });

  test("retry-after grows with the queue and stays within 1 to 30 seconds", async () => {
    const queue = new AdmissionQueue({ concurrency: 1, maxWaiting: 100, maxWaitMs: 60_000 });
    await queue.acquire(never);
    const alone = queue.retryAfterS();
    const waiters = Array.from({ length: 50 }, () => queue.acquire(never).catch(() => undefined));
    expect(queue.retryAfterS()).toBeGreaterThan(alone);
    expect(queue.retryAfterS()).toBe(30);
    queue.drain();
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
        const queue = new AdmissionQueue({ concurrency: 3, maxWaiting: 2, maxWaitMs: 60_000 });
        const permits: Permit[] = [];
        const clients: AbortController[] = [];
        const pending: Promise<void>[] = [];
        for (const step of steps) {
          if (step.do === "come") {
            const client = new AbortController();
            clients.push(client);
            pending.push(
              queue.acquire(client.signal).then(
                (permit) => void permits.push(permit),
                () => undefined,
              ),
            );
          } else if (step.do === "end") permits[step.who % permits.length]?.[Symbol.dispose]();
          else clients[step.who % clients.length]?.abort();
          await new Promise(setImmediate);
          expect(queue.running).toBeLessThanOrEqual(3);
          expect(queue.waiting).toBeLessThanOrEqual(2);
          if (queue.waiting > 0) expect(queue.running).toBe(3);
        }
        queue.drain();
        await Promise.all(pending);
        for (const permit of permits) permit[Symbol.dispose]();
        expect([queue.running, queue.waiting]).toEqual([0, 0]);
      }),
      { numRuns: 50 },
    );
  });
});
