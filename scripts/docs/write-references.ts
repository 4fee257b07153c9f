/** Writes the pages of docs/reference that are made of tables in the sources; with --check it only says which are stale. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { configurationReference } from "./configuration-reference.ts";
import { errorReference } from "./error-reference.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const PAGES: ReadonlyMap<string, () => string> = new Map([
  ["docs/reference/configuration.md", configurationReference],
  ["docs/reference/errors.md", errorReference],
]);

const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
for (const [page, make] of PAGES) {
  const file = join(ROOT, page);
  const present = await readFile(file, "utf8").catch(() => "");
  const wanted = make();
  if (present === wanted) continue;
  if (values.check) {
    process.stderr.write(`${page} is not what its table says. Run "npm run docs" and commit it.\n`);
    process.exitCode = 1;
  } else {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, wanted);
    process.stdout.write(`${page} is written.\n`);
  }
}
