/** Safetensors files and folders made by hand, right or wrong: what the tests of reading share. */
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { LlavaError } from "@llava/protocol";
import { afterAll, beforeAll } from "vitest";
import { Checkpoint, type CheckpointOptions } from "../src/source/checkpoint.ts";

export const SINGLE = "model.safetensors";
export const INDEX = "model.safetensors.index.json";

let root: string;
beforeAll(async () => {
  root = await realpath(await mkdtemp(path.join(tmpdir(), "llava-checkpoint-")));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

/** A folder with the given files in it; it goes with the test file's last test. */
export async function makeFolder(files: Record<string, string | Uint8Array> = {}): Promise<string> {
  const folder = await mkdtemp(path.join(root, "case-"));
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(folder, name), content);
  return folder;
}

/** A safetensors file with this header, right or wrong, and `dataLength` bytes of data. */
export function rawFile(header: string | Uint8Array, dataLength: number, claimedLength?: bigint): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + dataLength);
  new DataView(bytes.buffer).setBigUint64(0, claimedLength ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

export function tensorJson(dtype: string, shape: readonly unknown[], begin: unknown, end: unknown): string {
  return `{"dtype":"${dtype}","shape":${JSON.stringify(shape)},"data_offsets":[${String(begin)},${String(end)}]}`;
}

export async function refusal(folder: string, options?: CheckpointOptions): Promise<LlavaError> {
  const error: unknown = await Checkpoint.open(folder, options).then(
    () => new Error("it was opened"),
    (reason: unknown) => reason,
  );
  if (error instanceof LlavaError) return error;
  throw error;
}

/** A tensor of one float, at the start of the data. */
export const ONE = tensorJson("F32", [1], 0, 4);
