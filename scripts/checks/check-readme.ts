/** Keeps the README in step with the repository: its tree names every package and app, its paths and scripts exist. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

const FOLDERS = ["packages", "apps"];

/** A sentence for each thing that the README names and the repository lacks, or the other way round. */
export async function readmeFaults(root: string, files: readonly string[]): Promise<string[]> {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const scripts = scriptNames(await readFile(join(root, "package.json"), "utf8"));
  return [...treeFaults(readme, files), ...pathFaults(readme, files), ...scriptFaults(readme, scripts)];
}

/** The tree is the fenced block with a line "packages/"; its entries are indented below the folder. */
export function treeFaults(readme: string, files: readonly string[]): string[] {
  const tree = readme.split(/^```.*$/m).find((block) => /^packages\/$/m.test(block));
  if (tree === undefined) return ["README.md has no tree: a fenced block with the line packages/."];
  return FOLDERS.flatMap((folder) => {
    const section = new RegExp(`^${folder}/\\n((?: +.*\\n)*)`, "m").exec(tree)?.[1] ?? "";
    const listed = new Set(Array.from(section.matchAll(/^ {2}([\w-]+)\/ +\S/gm), (match) => match[1] ?? ""));
    const present = new Set(
      files.filter((file) => file.startsWith(`${folder}/`)).map((file) => file.split("/")[1] ?? ""),
    );
    return [
      ...[...present]
        .filter((name) => !listed.has(name))
        .map((name) => `The tree in README.md lacks ${folder}/${name}.`),
      ...[...listed]
        .filter((name) => !present.has(name))
        .map((name) => `The tree in README.md has ${folder}/${name}, which is not there.`),
    ];
  });
}

/** Paths in backticks that begin with a folder of ours, and targets of relative links. */
export function pathFaults(readme: string, files: readonly string[]): string[] {
  const quoted = readme.matchAll(/`((?:packages|apps|scripts|docker)\/[\w./-]*)`/g);
  const linked = readme.matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g);
  const paths = new Set(Array.from([...quoted, ...linked], (match) => match[1] ?? ""));
  const exists = (path: string): boolean =>
    files.some((file) => file === path || file.startsWith(`${path.replace(/\/$/, "")}/`));
  return [...paths]
    .filter((path) => !exists(path))
    .map((path) => `README.md names ${path}, which is not there.`);
}

/** `npm run X`, `npm start` and `npm test` have to be scripts of package.json. */
export function scriptFaults(readme: string, scripts: readonly string[]): string[] {
  const named = Array.from(
    readme.matchAll(/\bnpm (?:run (?:--?[\w-]+ )*([\w:-]+)|(start|test)\b)/g),
    (match) => match[1] ?? match[2] ?? "",
  );
  return [...new Set(named)]
    .filter((name) => !scripts.includes(name))
    .map((name) => `README.md runs "npm run ${name}", which package.json does not have.`);
}

function scriptNames(text: string): string[] {
  const json: unknown = JSON.parse(text);
  const scripts = typeof json === "object" && json !== null && "scripts" in json ? json.scripts : null;
  return Object.keys(scripts ?? {});
}
