/** Who goes first when there is room for one. */
import { expect, it } from "vitest";
import { Engine } from "../src/index.ts";
import { MODEL, read } from "./engine-fixtures.ts";

it("answers those first that wait with the smallest number, and each as it is answered alone", async () => {
  await using engine = await Engine.load(MODEL, { threads: 1, maxRunning: 1, maxWaiting: 4 });
  const request = { prompt: "USER: Name a color. ASSISTANT:", images: [], temperature: 0, maxTokens: 12 };
  const alone = await read(engine.generate(request));
  const order: string[] = [];
  const ask = async (name: string, priority?: number): Promise<void> => {
    const answer = await read(
      engine.generate({ ...request, ...(priority === undefined ? {} : { priority }) }),
    );
    order.push(name);
    expect(answer.text).toBe(alone.text);
  };
  const long = { ...request, ignoreEos: true, maxTokens: 200 };
  const running = engine.generate(long)[Symbol.asyncIterator]();
  expect(await running.next()).toMatchObject({ value: { type: "text-delta" } });
  const all = [ask("idle", 100), ask("batch", 7), ask("chat")];
  expect(engine.occupancy).toMatchObject({ running: 1, waiting: 3 });
  for (let next = await running.next(); !next.done; next = await running.next());
  await Promise.all(all);
  expect(order).toEqual(["chat", "batch", "idle"]);
});
