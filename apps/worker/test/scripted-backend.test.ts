/** A worker with the scripted backend: the whole OpenAI suite and LLaVA's wire without the engine of this repository. */
import { describeLlavaWire } from "@llava/testing/llava-wire-suite";
import { describeOpenAi } from "@llava/testing/openai-suite";
import { png } from "@llava/testing/png";
import { ScriptedBackend, type ScriptedBackendOptions } from "@llava/testing/scripted-backend";
import { afterAll } from "vitest";
import { serveBackend, type TestServer } from "./support/worker-server.ts";

const MODEL = "scripted";
const servers: TestServer[] = [];
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
});

async function start(options: ScriptedBackendOptions = {}): Promise<TestServer> {
  const server = await serveBackend(new ScriptedBackend({ name: MODEL, ...options }));
  servers.push(server);
  return server;
}

describeOpenAi(async () => {
  const server = await start();
  const narrow = await start({ limits: { concurrency: 1, maxWaiting: 0 } });
  const mortal = await start();
  return {
    url: server.url,
    model: MODEL,
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

describeLlavaWire(async () => {
  const server = await start();
  return { url: server.url, model: MODEL, incarnation: server.service.incarnation, ...server.model };
});
