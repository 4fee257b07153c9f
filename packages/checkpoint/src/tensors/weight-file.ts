/**
 * A weight file is opened safely: it is no link that leads out of its folder, and a regular file, which is checked on the
 * very descriptor that is read. Model folders are downloads, and nothing else of them may be opened.
 */
import { constants, type Stats } from "node:fs";
import { type FileHandle, open, realpath } from "node:fs/promises";
import path from "node:path";
import { LlavaError } from "@llava/protocol";
import { damaged } from "./damaged.ts";

/** An open file; disposing closes it. */
export interface WeightFile extends AsyncDisposable {
  /** Path for sentences. */
  readonly path: string;
  readonly handle: FileHandle;
  /** Size in bytes when it was opened. */
  readonly size: number;
  /** Time of the last change, Unix milliseconds. */
  readonly modifiedMs: number;
  /** Equal for two openings unless the file was replaced or written in between. */
  readonly version: string;
}

// Neither flag exists on Windows. Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Opens `name`, a bare file name, inside `folder`. Throws `invalid_checkpoint` when it is missing or not a plain file. */
export async function openWeightFile(folder: string, name: string): Promise<WeightFile> {
  const listed = path.join(folder, name);
  const target = await resolveInside(folder, listed);
  const handle = await open(target, OPEN_FLAGS).catch((cause: unknown) => {
    throw cannotOpen(listed, cause);
  });
  try {
    const status = await handle.stat();
    if (!status.isFile()) throw cannotOpen(listed, undefined);
    return {
      path: listed,
      handle,
      size: status.size,
      modifiedMs: status.mtimeMs,
      version: versionOf(status),
      [Symbol.asyncDispose]: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Fills `bytes` from `position`. Throws `invalid_checkpoint` when the file ends before. */
export async function readFully(file: WeightFile, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(bytes.length - done, MAX_BYTES_PER_READ);
    const { bytesRead } = await file.handle.read(bytes, done, length, position + done);
    if (bytesRead === 0)
      throw damaged(file.path, `it ends at byte ${position + done}, in the middle of its data`);
    done += bytesRead;
  }
}

/** Systems read at most about 2 GB at once. */
const MAX_BYTES_PER_READ = 1 << 30;

async function resolveInside(folder: string, listed: string): Promise<string> {
  const [root, target] = await Promise.all([realpath(folder), realpath(listed)]).catch((cause: unknown) => {
    throw cannotOpen(listed, cause);
  });
  const inside = path.relative(root, target);
  if (inside !== ".." && !inside.startsWith(`..${path.sep}`) && !path.isAbsolute(inside)) return target;
  throw new LlavaError(
    "invalid_checkpoint",
    `${listed} is a link to ${target}, outside the model's folder. Put the file itself into the folder (hf download --local-dir does).`,
  );
}

function cannotOpen(listed: string, cause: unknown): LlavaError {
  return new LlavaError(
    "invalid_checkpoint",
    `${listed} cannot be opened as a plain file. Check that it exists and that you may read it.`,
    { cause },
  );
}

/** The `version` of a file with this status. */
export function versionOf({ dev, ino, size, mtimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs].join(":");
}
