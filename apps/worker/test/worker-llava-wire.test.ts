/** LLaVA's wire through a worker with the engine of this repository. */
import { describeLlavaWire } from "@llava/testing/llava-wire-suite";
import { afterAll } from "vitest";
import { MODEL_NAME, startServer, type TestServer } from "./support/worker-server.ts";

let server: TestServer;
afterAll(() => server[Symbol.asyncDispose]());

describeLlavaWire(async () => {
  server = await startServer();
  return {
    url: server.url,
    model: MODEL_NAME,
    incarnation: server.service.incarnation,
    ...server.model,
  };
});
