/** Serves the tests of Engine.generate: a tiny model with weights, answers read whole, and damaged copies of models. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { EngineEvent } from "../src/index.ts";
import type { LlavaError } from "@llava/protocol";
import { Binding } from "@llava/runtime";
import { vi } from "vitest";

const GOLDEN = path.join(import.meta.dirname, "golden");
/** 192 positions of context, 16 tokens an image, grouped heads, float16 files. */
export const MODEL = path.join(GOLDEN, "grouped-f16");

/** The images of the goldens, PNG. */
export const one = await readFile(path.join(GOLDEN, "one.png"));
export const two = await readFile(path.join(GOLDEN, "two.png"));

export interface Answer {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly end: Exclude<EngineEvent, { type: "text-delta" }>;
}

export async function readAll(events: AsyncIterable<EngineEvent>): Promise<EngineEvent[]> {
  const all: EngineEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** Reads to the end, and sees that there is exactly one. */
export async function read(events: AsyncIterable<EngineEvent>): Promise<Answer> {
  const all = await readAll(events);
  const end = all.at(-1);
  if (!end || end.type === "text-delta") throw new Error("The stream has no terminal event.");
  const deltas = all.slice(0, -1).map((event) => {
    if (event.type !== "text-delta") throw new Error("The stream has two terminal events.");
    return event;
  });
  return {
    text: deltas.map(({ text }) => text).join(""),
    tokens: deltas.flatMap(({ tokens }) => tokens),
    end,
  };
}

/** The error at the end of a stream that ends with one. */
export async function readError(events: AsyncIterable<EngineEvent>): Promise<LlavaError> {
  const { end } = await read(events);
  if (end.type !== "error") throw new Error(`The stream ended well: ${end.reason}.`);
  return end.error;
}

/**
 * Calls `onRun` with the count of runs of the encoder and the decoder, from 1, each time that one is under way; the run
 * does not end before the promise that it may return.
 */
export function watchRuns(
  onRun: (count: number) => Promise<void> | undefined = () => undefined,
): { readonly count: number } & Disposable {
  // oxlint-disable-next-line typescript/unbound-method -- called on its binding below
  const run = Binding.prototype.run;
  let count = 0;
  const spy = vi.spyOn(Binding.prototype, "run").mockImplementation(async function watched(
    this: Binding,
    options,
  ) {
    const running = run.call(this, options);
    count += 1;
    const held = onRun(count);
    await running;
    await held;
  });
  return {
    get count() {
      return count;
    },
    [Symbol.dispose]: () => spy.mockRestore(),
  };
}

/** A copy of the model in a folder of its own, to be spoiled. */
export class ModelCopy implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<ModelCopy> {
    const folder = path.join(await mkdtemp(path.join(tmpdir(), "llava-engine-")), "model");
    await cp(MODEL, folder, { recursive: true });
    return new ModelCopy(folder);
  }

  async editJson(name: string, change: (content: Record<string, unknown>) => void): Promise<void> {
    const file = path.join(this.folder, name);
    const content = parseRecord(await readFile(file, "utf8"));
    change(content);
    await writeFile(file, JSON.stringify(content));
  }

  /** Changes the JSON header of model.safetensors; the payload stays. */
  async editWeights(change: (header: Record<string, unknown>) => void): Promise<void> {
    const file = path.join(this.folder, "model.safetensors");
    const bytes = await readFile(file);
    const length = Number(bytes.readBigUInt64LE(0));
    const header = parseRecord(bytes.toString("utf8", 8, 8 + length));
    change(header);
    const json = Buffer.from(JSON.stringify(header));
    const padding = Buffer.alloc(-json.length & 7, " ");
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(json.length + padding.length));
    await writeFile(file, Buffer.concat([size, json, padding, bytes.subarray(8 + length)]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(path.dirname(this.folder), { recursive: true, force: true });
  }
}

function parseRecord(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}
