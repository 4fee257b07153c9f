import { describe, expect, test } from "vitest";
import { markQuiet, QUIET } from "./keepalive.ts";

async function* broken(): AsyncGenerator<number> {
  yield 1;
  throw new Error("broken");
}

describe("markQuiet", () => {
  test("passes items through and marks the silence between them", async () => {
    const speak = Promise.withResolvers<string>();
    async function* source(): AsyncGenerator<string> {
      yield "a";
      yield await speak.promise;
    }
    const seen: unknown[] = [];
    for await (const item of markQuiet(source(), 5)) {
      seen.push(item);
      if (item === QUIET) speak.resolve("b");
    }
    expect(seen[0]).toBe("a");
    expect(seen[1]).toBe(QUIET);
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
    for await (const item of markQuiet(source(), 1_000)) if (item === 1) break;
    expect(isEnded).toBe(true);
    const marked = markQuiet(broken(), 1_000);
    await marked.next();
    await expect(marked.next()).rejects.toThrow("broken");
  });
});
