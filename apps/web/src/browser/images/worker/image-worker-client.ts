/**
 * Sends tasks to the image worker and waits for their results: one worker for the page, started with the first image.
 */
import type { ImageTask, Refusal, TaskAnswer, TaskMessage, TaskResult } from "./image-tasks.ts";
import { workerUrl } from "./image-worker-url.ts";

/** The image worker's refusal of a task; the sentence about it is made where it is shown. */
export class ImageRefused extends Error {
  override readonly name = "ImageRefused";
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal);
    this.refusal = refusal;
  }
}

interface Waiting {
  readonly resolve: (result: TaskResult[keyof TaskResult]) => void;
  readonly reject: (error: ImageRefused) => void;
}

const waiting = new Map<number, Waiting>();
let worker: Worker | null = null;
let lastId = 0;

/** Throws `ImageRefused`. */
export async function work<Kind extends ImageTask["kind"]>(
  task: Extract<ImageTask, { kind: Kind }>,
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
  const begun = new Worker(workerUrl(), { type: "module", name: "images" });
  begun.addEventListener("message", ({ data }: MessageEvent<TaskAnswer>) => {
    const asked = waiting.get(data.id);
    waiting.delete(data.id);
    if ("result" in data) asked?.resolve(data.result);
    else asked?.reject(new ImageRefused(data.refusal));
  });
  // The worker ran out of memory, or its script could not be loaded: what waits has failed, and the next image starts
  // another worker.
  begun.addEventListener("error", () => {
    worker = null;
    begun.terminate();
    for (const { reject } of waiting.values()) reject(new ImageRefused("no_memory"));
    waiting.clear();
  });
  return begun;
}
