/**
 * Runs the worker of resume-worker.ts as a process of its own, which tests can kill and stop. The first argument is its pause
 * before each token in milliseconds. It kills itself over a body with the word of the second argument in it.
 */
import { createServer } from "node:http";
import { resumeWorker } from "./resume-worker.ts";
import { listen } from "./http-server.ts";

const handler = resumeWorker({ stepMs: Number(process.argv[2] ?? 20) });
const poison = process.argv[3];
let numRunning = 0;
const server = createServer((request, response) => {
  if (request.url === "/worker_get_status")
    return response.end(JSON.stringify({ model_names: ["m"], speed: 1, queue_length: numRunning }));
  if (poison !== undefined)
    request.on("data", (bytes: Buffer) => {
      if (bytes.includes(poison)) process.kill(process.pid, "SIGKILL");
    });
  numRunning += 1;
  response.once("close", () => (numRunning -= 1));
  return handler(request, response);
});
process.send?.({ type: "ready", address: await listen(server) });
process.on("disconnect", () => process.exit(0));
