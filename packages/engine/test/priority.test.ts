/** The admission queue: priority, then arrival; a place for each request, however many choices it has. */
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

it("takes one place in the queue for all choices of a request, and reports the place of each that waits", async () => {
  await using engine = await Engine.load(MODEL, { threads: 1, maxRunning: 1, maxWaiting: 1 });
  const request = { prompt: "USER: Name a color. ASSISTANT:", images: [], temperature: 1, maxTokens: 6 };
  const singles = [await read(engine.generate({ ...request, seed: 7 }))];
  singles.push(await read(engine.generate({ ...request, seed: 8 })));
  let admitted = 0;
  const onAdmitted = (): void => void (admitted += 1);
  const choices = engine.generateChoices({ ...request, seed: 7, onAdmitted }, 2);
  const texts = ["", ""];
  const read2 = (async () => {
    for await (const { index, event } of choices) if (event.type === "text-delta") texts[index] += event.text;
  })();
  let place: (() => unknown) | undefined;
  const next = read(engine.generate({ ...request, onQueued: (current) => (place = current) }));
  expect([engine.queue.running, engine.queue.waiting]).toEqual([1, 1]);
  expect(place?.()).toEqual({ position: 1, length: 1 });
  await read2;
  expect(texts).toEqual(singles.map(({ text }) => text));
  expect(admitted).toBe(1);
  await next;
  expect(place?.()).toBeNull();
});
