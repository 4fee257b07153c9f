/** Tests OpenAI's own client against a controller with a worker behind it. */
import OpenAI from "openai";
import { afterAll, expect, test } from "vitest";
import { describeOpenAi } from "@llava/testing/openai-suite";
import { png } from "@llava/testing/png";
import { MODEL_NAME, startServer, type TestServer } from "../../worker/test/support/worker-server.ts";
import { closeAll, register, startController } from "./support/stand-in.ts";

const workers: TestServer[] = [];
afterAll(async () => {
  await closeAll();
  for (const worker of workers) await worker[Symbol.asyncDispose]();
});

/** A controller with one worker behind it. */
async function startPair(
  ...limits: Parameters<typeof startServer>
): Promise<{ readonly url: string; readonly worker: TestServer }> {
  const worker = await startServer(...limits);
  workers.push(worker);
  const { url } = await startController();
  await register(url, worker.url, [MODEL_NAME]);
  return { url, worker };
}

describeOpenAi(async () => {
  const { url, worker } = await startPair();
  const narrow = await startPair({ concurrency: 1, maxWaiting: 0 });
  const mortal = await startPair();
  return {
    url,
    model: MODEL_NAME,
    tokensPerImage: worker.model.tokensPerImage,
    image: `data:image/png;base64,${png(30, 40, [0, 255, 0]).toString("base64")}`,
    running: () => worker.service.load.running,
    narrow: {
      url: narrow.url,
      occupy: () => narrow.worker.service.backend.queue.acquire(new AbortController().signal),
    },
    mortal: { url: mortal.url, abort: () => mortal.worker.service.abort() },
  };
});

test("a controller without workers answers 503, and serves the client's next try when one has come", async () => {
  const { url } = await startController();
  const [worker] = workers;
  const statuses: number[] = [];
  const client = new OpenAI({
    baseURL: `${url}/v1`,
    apiKey: "none",
    maxRetries: 2,
    fetch: async (address, init) => {
      const response = await fetch(address, init);
      if (statuses.push(response.status) === 1) await register(url, worker?.url ?? "", [MODEL_NAME]);
      return response;
    },
  });
  const answer = await client.chat.completions.create({
    model: MODEL_NAME,
    messages: [{ role: "user", content: "Why?" }],
    max_completion_tokens: 3,
  });
  expect(answer.usage).toMatchObject({ completion_tokens: 3 });
  expect(statuses).toEqual([503, 200]);
});
