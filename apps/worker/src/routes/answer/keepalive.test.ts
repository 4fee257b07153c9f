import { describe, expect, test } from "vitest";
import { IDLE, markIdle } from "./keepalive.ts";

async function* broken(): AsyncGenerator<number> {
  yield 1;
  throw new Error("broken");
}

describe("markIdle", () => {
  test("passes items through and marks the pauses between them", async () => {
    const second = Promise.withResolvers<string>();
    async function* source(): AsyncGenerator<string> {
      yield "a";
      yield await second.promise;
    }
    const seen: unknown[] = [];
    for await (const item of markIdle(source(), 5)) {
      seen.push(item);
      if (item === IDLE) second.resolve("b");
    }
    expect(seen[0]).toBe("a");
    expect(seen[1]).toBe(IDLE);
    expect(seen.at(-1)).toBe("b");
  });

  test("ending the iteration ends the source, errors come through", async () => {
    let isEnded = false;
    async function* source(): AsyncGenerator<number> {
      try {
        yield 1;
        yield 2;
      } finally {
        isEnded = true;
      }
    }
    for await (const item of markIdle(source(), 1_000)) if (item === 1) break;
    expect(isEnded).toBe(true);
    const marked = markIdle(broken(), 1_000);
    await marked.next();
    await expect(marked.next()).rejects.toThrow("broken");
  });
});
