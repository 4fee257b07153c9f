/** Checks the layout of the repository: file names that are unique, and folders that stay small. */
import { posix } from "node:path";

/** Entry points of a package or a program have the same name everywhere. */
const SHARED_NAMES = new Set(["index.ts", "main.ts"]);
/** Tests included; data that scripts write, such as goldens and screenshots, is left out. */
const MOST_FILES = 14;
const SOURCE = /^(packages|apps|scripts)\/.*\.(ts|tsx|py)$/;
const DATA = /\/(golden|screenshots|public|model)\//;

/** A sentence for each file name that is used twice and each folder with too many files. */
export function layoutFaults(files: readonly string[]): string[] {
  return [...duplicateNames(files), ...largeFolders(files)];
}

function duplicateNames(files: readonly string[]): string[] {
  const sources = files.filter((file) => SOURCE.test(file) && !SHARED_NAMES.has(posix.basename(file)));
  const groups = Map.groupBy(sources, (file) => posix.basename(file));
  return [...groups]
    .filter(([, group]) => group.length > 1)
    .map(
      ([name, group]) => `${name} is the name of ${group.join(" and ")}: give each file a name of its own.`,
    );
}

function largeFolders(files: readonly string[]): string[] {
  const groups = Map.groupBy(
    files.filter((file) => /^(packages|apps|scripts|docs)\//.test(file) && !DATA.test(file)),
    (file) => posix.dirname(file),
  );
  return [...groups]
    .filter(([, group]) => group.length > MOST_FILES)
    .map(([folder, group]) => `${folder} holds ${group.length} files; split it: at most ${MOST_FILES}.`);
}
