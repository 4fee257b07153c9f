/** Many workers in one process, each on a port of its own: they register, beat and answer without a model. A program. */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import {
  completionHead,
  encodeResumeHead,
  encodeResumeTokens,
  encodeSse,
  encodeSseJson,
  finishChunk,
  RESUME_HEADER,
  SSE_DONE,
  textChunk,
  type CompletionHead,
} from "@llava/protocol";
import type { Beats, WorkersPlan } from "./bench-processes.ts";

/** What a worker of ours waits for its controller's word. */
const ANSWER_TIMEOUT_MS = 5_000;
const REGISTERED_AT_ONCE = 16;
const WORDS = ["The ", "circle ", "is ", "red."];

const [controllerUrl = "", planJson = "{}"] = process.argv.slice(2);
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by bench-processes.ts, of this folder
const plan = JSON.parse(planJson) as WorkersPlan;
const beats = { sent: 0, failed: 0, forgotten: 0 } satisfies Beats;
/** Ends of the streams under way. */
const endings = new Set<() => void>();
let isFinished = plan.pieceMs === 0;

process.on("disconnect", () => process.exit(0));
process.on("SIGTERM", () => process.exit(0));
process.on("message", (message) => {
  if (message === "beats") process.send?.({ type: "beats", beats });
  if (message !== "finish") return;
  isFinished = true;
  for (const end of endings) end();
});

const addresses = await Promise.all(Array.from({ length: plan.count }, () => listen(createServer(answer))));
const incarnations = addresses.map(() => randomUUID());
const waiting = addresses.map((_, index) => index);
await Promise.all(
  Array.from({ length: REGISTERED_AT_ONCE }, async () => {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) await register(index);
  }),
);
for (const index of addresses.keys()) void beat(index);
process.send?.({ type: "ready", address: addresses[0] });

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("A fake worker has no port.");
  return `http://127.0.0.1:${bound.port}`;
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  request.once("end", () => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const isResumable = request.headers[RESUME_HEADER] !== undefined;
    const head = completionHead("bench");
    const first = piece(head, 0, isResumable);
    if (isFinished) {
      response.end(
        first +
          WORDS.slice(1)
            .map((_, i) => piece(head, i + 1, isResumable))
            .join("") +
          lastOf(head),
      );
      return;
    }
    response.write(first);
    let count = 0;
    const timer = setInterval(() => response.write(piece(head, (count += 1), isResumable)), plan.pieceMs);
    const end = (): void => void response.end(lastOf(head));
    endings.add(end);
    response.once("close", () => {
      clearInterval(timer);
      endings.delete(end);
    });
  });
}

function piece(head: CompletionHead, index: number, isResumable: boolean): string {
  const data = encodeSseJson(textChunk(head, WORDS[index % WORDS.length] ?? ""));
  if (!isResumable) return data;
  const hopHead = index === 0 ? encodeResumeHead({ ...head, seed: 1 }) : "";
  return hopHead + encodeResumeTokens([index]) + data;
}

function lastOf(head: CompletionHead): string {
  return encodeSseJson(finishChunk(head, "stop")) + encodeSse(SSE_DONE);
}

async function register(index: number): Promise<void> {
  const status = {
    model_names: ["bench"],
    speed: 1,
    queue_length: 0,
    incarnation: incarnations[index],
    state: "ready",
    capabilities: { resume: true },
  };
  await post("/register_worker", {
    worker_name: addresses[index],
    check_heart_beat: true,
    worker_status: status,
  });
}

/** Spread over the interval, as workers that started one by one are. */
async function beat(index: number): Promise<void> {
  await sleep((index / plan.count) * plan.heartbeatMs);
  for (let seq = 1; ; seq += 1) {
    beats.sent += 1;
    try {
      const reply = await post("/receive_heart_beat", {
        worker_name: addresses[index],
        queue_length: 0,
        incarnation: incarnations[index],
        seq,
      });
      const isKnown = typeof reply === "object" && reply !== null && "exist" in reply && reply.exist === true;
      if (!isKnown) {
        beats.forgotten += 1;
        await register(index);
      }
    } catch {
      beats.failed += 1;
    }
    await sleep(plan.heartbeatMs);
  }
}

async function post(path: string, body: unknown): Promise<unknown> {
  const response = await fetch(controllerUrl + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status}, ${await response.text()}`);
  return response.json();
}
