/**
 * What relaying costs at least here: Node's own server and client over kept connections, each body read whole and passed on,
 * nothing looked at. Argument: where to.
 */
import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";

const target = process.argv[2] ?? "";
const agent = new Agent({ keepAlive: true });

const server = createServer((incoming, reply) => {
  const pieces: Buffer[] = [];
  incoming.on("data", (piece: Buffer) => pieces.push(piece));
  incoming.on("end", () => {
    const { method, headers } = incoming;
    const onward = request(new URL(incoming.url ?? "/", target), { method, headers, agent }, (answer) => {
      reply.writeHead(answer.statusCode ?? 502, answer.headers);
      void pipeline(answer, reply).catch(() => reply.destroy());
    });
    onward.on("error", () => reply.destroy());
    onward.end(Buffer.concat(pieces));
  });
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ type: "ready", address: `http://127.0.0.1:${port}` });
});
process.on("SIGTERM", () => process.exit(0));
