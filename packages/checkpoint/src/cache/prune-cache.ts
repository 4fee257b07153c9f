/** Keeps the cache of quantized weights within its limit: models that are no longer loaded make room for new ones. */
import { readdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";

/** A dozen models of 7B parameters in 4 bits. */
const MAX_BYTES = 64e9;
/** A temporary file is written to all the time while its process works on it. */
const ABANDONED_MS = 10 * 60_000;

/** An empty file beside the weights, whose time is that of their last use: their own time shows whether they were changed. */
const USED = ".used";

/** Notes the time for `pruneCache`; weights in a cache that may only be read are used all the same. */
export async function markUsed(file: string): Promise<void> {
  await writeFile(file + USED, "").catch(() => {});
}

/**
 * Deletes temporary files that a crash left and, least recently used first, weights until `bytes` more fit. Processes
 * that have a deleted file mapped keep it until they end.
 */
export async function pruneCache(folder: string, bytes: number, maxBytes: number = MAX_BYTES): Promise<void> {
  const files = await listFiles(folder);
  const now = Date.now();
  for (const { file, modifiedMs } of files.filter(({ file }) => file.endsWith(".tmp"))) {
    if (now - modifiedMs > ABANDONED_MS) await rm(file, { force: true });
  }
  const usedMs = new Map(files.map(({ file, modifiedMs }) => [file, modifiedMs]));
  const lastUse = ({ file, modifiedMs }: CachedFile): number => usedMs.get(file + USED) ?? modifiedMs;
  const weights = files
    .filter(({ file }) => file.endsWith(".safetensors"))
    .sort((a, b) => lastUse(a) - lastUse(b));
  let total = weights.reduce((sum, { size }) => sum + size, bytes);
  for (const { file, size } of weights) {
    if (total <= maxBytes) return;
    // On Windows a mapped file cannot be deleted; then it stays.
    await Promise.all([file, file + USED].map((gone) => rm(gone, { force: true }).catch(() => {})));
    total -= size;
  }
}

interface CachedFile {
  readonly file: string;
  readonly size: number;
  readonly modifiedMs: number;
}

async function listFiles(folder: string): Promise<CachedFile[]> {
  const found: CachedFile[] = [];
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    const status = await stat(file).catch(() => null);
    if (status?.isFile()) found.push({ file, size: status.size, modifiedMs: status.mtimeMs });
  }
  return found;
}
