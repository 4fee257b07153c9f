/** Runs a worker as a process of its own, which tests can kill: it streams words without end. */
import { createServer } from "node:http";
import { encodeSseJson, textChunk, completionHead } from "@llava/protocol";
import { listen } from "./http-server.ts";

const head = completionHead("m");
const server = createServer((request, response) => {
  request.resume();
  response.writeHead(200, { "content-type": "text/event-stream" });
  const words = setInterval(() => response.write(encodeSseJson(textChunk(head, "red "))), 20);
  response.on("close", () => clearInterval(words));
});
process.send?.({ type: "ready", address: await listen(server) });
process.on("disconnect", () => process.exit(0));
