/** A folder with a tiny random model, which never ends an answer by itself: good for everything but true words. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeTinyModel } from "../../worker/test/support/tiny-model.ts";

export const TINY_NAME = "tiny-llava-v1";

export async function makeTinyFolder(): Promise<{ folder: string; remove(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), "llava cli "));
  const folder = join(root, TINY_NAME);
  await writeTinyModel(folder);
  return { folder, remove: () => rm(root, { recursive: true }) };
}
