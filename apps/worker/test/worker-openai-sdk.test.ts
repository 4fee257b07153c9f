/** OpenAI's own client against a worker directly. */
import OpenAI, { InternalServerError } from "openai";
import { afterAll, expect, test } from "vitest";
import { describeOpenAi } from "@llava/testing/openai-suite";
import { png } from "@llava/testing/png";
import { MODEL_NAME, startServer, type TestServer } from "./support/worker-server.ts";

const servers: TestServer[] = [];
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
});

async function start(...limits: Parameters<typeof startServer>): Promise<TestServer> {
  const server = await startServer(...limits);
  servers.push(server);
  return server;
}

describeOpenAi(async () => {
  const server = await start();
  const narrow = await start({ concurrency: 1, maxWaiting: 0 });
  const mortal = await start();
  return {
    url: server.url,
    model: MODEL_NAME,
    tokensPerImage: server.model.tokensPerImage,
    image: `data:image/png;base64,${png(30, 40, [0, 255, 0]).toString("base64")}`,
    running: () => server.service.load.running,
    narrow: {
      url: narrow.url,
      occupy: () => narrow.service.backend.queue.acquire(new AbortController().signal),
    },
    mortal: { url: mortal.url, abort: () => mortal.service.abort() },
  };
});

test("a worker that stops answers 503 with the time to wait, and the client tries again before it gives up", async () => {
  const server = await start();
  server.service.drain();
  const statuses: number[] = [];
  const client = new OpenAI({
    baseURL: `${server.url}/v1`,
    apiKey: "none",
    maxRetries: 1,
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      statuses.push(response.status);
      expect(response.headers.get("retry-after")).toBe("1");
      return response;
    },
  });
  const params = { model: MODEL_NAME, messages: [{ role: "user", content: "Why?" }] } as const;
  const refusal = client.chat.completions.create({ ...params, messages: [...params.messages] });
  await expect(refusal).rejects.toBeInstanceOf(InternalServerError);
  await expect(refusal).rejects.toMatchObject({ status: 503, code: "shutting_down" });
  expect(statuses).toEqual([503, 503]);
});
