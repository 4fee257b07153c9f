/** Hands work to the picture worker and waits for it: one worker for the page, begun with the first picture. */
import type { PictureTask, Refusal, TaskAnswer, TaskMessage, TaskResult } from "./image-tasks.ts";
import { workerUrl } from "./image-worker-url.ts";

/** Why a picture could not be worked on; sentences are made where it is shown. */
export class PictureRefused extends Error {
  override readonly name = "PictureRefused";
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal);
    this.refusal = refusal;
  }
}

interface Waiting {
  readonly resolve: (result: TaskResult[keyof TaskResult]) => void;
  readonly reject: (error: PictureRefused) => void;
}

const waiting = new Map<number, Waiting>();
let worker: Worker | null = null;
let lastId = 0;

/** Throws `PictureRefused`. */
export async function work<Kind extends PictureTask["kind"]>(
  task: Extract<PictureTask, { kind: Kind }>,
): Promise<TaskResult[Kind]> {
  const id = ++lastId;
  const result = new Promise<TaskResult[keyof TaskResult]>((resolve, reject) => {
    waiting.set(id, { resolve, reject });
  });
  (worker ??= begin()).postMessage({ id, task } satisfies TaskMessage);
  // The worker answers each kind of task with its own kind of result.
  return (await result) as TaskResult[Kind];
}

function begin(): Worker {
  const begun = new Worker(workerUrl(), { type: "module", name: "pictures" });
  begun.addEventListener("message", ({ data }: MessageEvent<TaskAnswer>) => {
    const asked = waiting.get(data.id);
    waiting.delete(data.id);
    if ("result" in data) asked?.resolve(data.result);
    else asked?.reject(new PictureRefused(data.refusal));
  });
  // Out of memory, or its file did not come: what waits has failed, and the next picture begins another one.
  begun.addEventListener("error", () => {
    worker = null;
    begun.terminate();
    for (const { reject } of waiting.values()) reject(new PictureRefused("no_memory"));
    waiting.clear();
  });
  return begun;
}
