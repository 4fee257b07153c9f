/** Tracked files are those of the repository as git sees them. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const MAX_BYTES = 16 * 1024 * 1024;

/** Paths from the root with forward slashes: what is committed, and what is new and not ignored. */
export async function trackedFiles(root: string): Promise<string[]> {
  const flags = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const { stdout } = await promisify(execFile)("git", flags, { cwd: root, maxBuffer: MAX_BYTES });
  return stdout.split("\0").filter((path) => path !== "" && existsSync(join(root, path)));
}
