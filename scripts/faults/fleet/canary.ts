/** Starts a server that no program has a reason to call; the run names it as an image's and a worker's address. */
import { once } from "node:events";
import { createServer } from "node:net";

export interface Canary extends AsyncDisposable {
  readonly url: string;
  /** The connections that it has ever got. */
  readonly numCalls: number;
}

export async function startCanary(): Promise<Canary> {
  let numCalls = 0;
  const server = createServer((socket) => {
    numCalls += 1;
    socket.destroy();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("the canary has no port");
  return {
    url: `http://127.0.0.1:${bound.port}`,
    get numCalls() {
      return numCalls;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}
