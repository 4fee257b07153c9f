/**
 * Compresses each text file of the built page to `.br` and `.gz`, so that the server sends few bytes and compresses
 * nothing itself.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

import type { Plugin } from "vite";

const TEXTS = [".html", ".js", ".css", ".svg", ".json"];
/** Shorter files fit into one packet uncompressed. */
const MIN_BYTES = 1_024;

export function precompress(): Plugin {
  let folder = "";
  return {
    name: "precompress",
    apply: "build",
    configResolved: ({ build }) => void (folder = build.outDir),
    closeBundle: async () => {
      const names = await readdir(folder, { recursive: true });
      await Promise.all(
        names.filter((name) => TEXTS.includes(extname(name))).map((name) => compress(join(folder, name))),
      );
    },
  };
}

async function compress(path: string): Promise<void> {
  const bytes = await readFile(path);
  if (bytes.length < MIN_BYTES) return;
  const params = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  const made = [
    [".br", await promisify(brotliCompress)(bytes, { params })],
    [".gz", await promisify(gzip)(bytes, { level: 9 })],
  ] as const;
  for (const [extension, compressed] of made)
    if (compressed.length < bytes.length) await writeFile(path + extension, compressed);
}
