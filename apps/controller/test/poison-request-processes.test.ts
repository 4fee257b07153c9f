/** Tests requests that crash the workers' processes: the third is not asked, and other requests are served. Over real HTTP. */
import { afterEach, describe, expect, it } from "vitest";
import { start, type Program } from "./support/child-program.ts";
import { textOf } from "./support/resume-worker.ts";
import {
  closeAll,
  deadAddress,
  modelsOf,
  post,
  register,
  startController,
  type Reply,
} from "./support/stand-in.ts";

const WORKER = new URL("./support/resume-process.ts", import.meta.url);
const WORD = "hemlock";
const RESUMING = { capabilities: { resume: true } };

afterEach(closeAll);

/** The speeds of the workers, so that the dispatch asks them in their order. */
async function startWorkers(url: string, count: number): Promise<readonly Program[]> {
  const workers = await Promise.all(Array.from({ length: count }, () => start(WORKER, "0", WORD)));
  for (const [i, { address }] of workers.entries())
    await register(url, address, ["m"], {
      queueLength: 5 * i,
      report: { ...RESUMING, incarnation: `p${i}` },
    });
  return workers;
}

const ask = (url: string, words: string, stream = true): Promise<Reply> =>
  post(`${url}/v1/chat/completions`, { model: "m", messages: [{ role: "user", content: words }], stream });

const isAlive = ({ child }: Program): boolean => child.exitCode === null && child.signalCode === null;

/** Waits, as the answer may come before this process notices the ends. */
async function expectEnded(workers: readonly Program[], ended: readonly boolean[]): Promise<void> {
  await expect.poll(() => workers.map((worker) => !isAlive(worker))).toEqual(ended);
}

describe("a request that ends its worker", () => {
  it.each([true, false])(
    "and the next one is refused, now and when it comes again (stream: %s)",
    async (stream) => {
      const { url } = await startController();
      const workers = await startWorkers(url, 3);
      for (let i = 0; i < 2; i += 1) {
        const reply = await ask(url, `a cup of ${WORD}`, stream);
        expect([reply.status, JSON.parse(reply.text).error.code]).toEqual([422, "quarantined"]);
        expect(reply.headers.get("x-should-retry")).not.toBe("true");
      }
      await expectEnded(workers, [true, true, false]);
      expect((await ask(url, "a cup of tea")).text).toContain(textOf(1, 1));
    },
  );

  it("does not count a worker that was gone before", async () => {
    const { url } = await startController();
    const known = { checkHeartBeat: false, report: RESUMING };
    for (let i = 0; i < 2; i += 1) await register(url, await deadAddress(), ["m"], known);
    expect((await ask(url, "a cup of tea")).status).toBe(502);
    const [worker] = await startWorkers(url, 1);
    expect((await ask(url, "a cup of tea")).status).toBe(200);
    expect(worker && isAlive(worker)).toBe(true);
  });

  it("is tried again when only one worker was lost over it", async () => {
    const { url } = await startController();
    await startWorkers(url, 1);
    expect((await ask(url, `a cup of ${WORD}`)).status).toBe(502);
    expect(await modelsOf(url)).toEqual({ models: [] });
    expect((await ask(url, `a cup of ${WORD}`)).status).toBe(503);
    await startWorkers(url, 1);
    // A second process with the same incarnation counts as the same worker.
    expect((await ask(url, `a cup of ${WORD}`)).status).toBe(502);
  });

  it("is refused on LLaVA's wire by its own failure", async () => {
    const { url } = await startController();
    const workers = await startWorkers(url, 3);
    const reply = await post(`${url}/worker_generate_stream`, { model: "m", prompt: WORD });
    expect([reply.status, reply.text]).toEqual([200, expect.stringContaining('"error_code":1')]);
    await expectEnded(workers, [true, true, false]);
  });
});
