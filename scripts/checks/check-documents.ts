/** Keeps the documents in step with the repository: the map names every package and app, paths and scripts exist. */
import { readFile } from "node:fs/promises";
import { join, posix } from "node:path";

const FOLDERS = ["packages", "apps"];

/** The document with the map of the repository. */
const MAP = "docs/architecture/README.md";
/** Written by scripts, or for another place than the repository's root. */
const NOT_CHECKED = /^packages\/demo\/model\/|\/results\.md$/;
/** Every package has one, short enough to be read before its code. */
const MOST_PACKAGE_LINES = 15;

/** A sentence for each thing that a document names and the repository lacks, or the other way round. */
export async function documentFaults(root: string, files: readonly string[]): Promise<string[]> {
  const scripts = scriptNames(await readFile(join(root, "package.json"), "utf8"));
  const documents = files.filter((file) => file.endsWith(".md") && !NOT_CHECKED.test(file));
  const texts = await Promise.all(documents.map(async (file) => await readFile(join(root, file), "utf8")));
  return [
    ...packageFaults(new Map(documents.map((file, i) => [file, texts[i] ?? ""])), files),
    ...treeFaults(texts[documents.indexOf(MAP)] ?? "", files),
    ...documents.flatMap((file, i) => [
      ...pathFaults(file, texts[i] ?? "", files),
      ...scriptFaults(file, texts[i] ?? "", scripts),
    ]),
  ];
}

/** Every package has a README of at most 15 lines that are not blank. */
export function packageFaults(documents: ReadonlyMap<string, string>, files: readonly string[]): string[] {
  const packages = new Set(
    files.filter((file) => file.startsWith("packages/")).map((file) => file.split("/")[1] ?? ""),
  );
  return [...packages].flatMap((name) => {
    const file = `packages/${name}/README.md`;
    const text = documents.get(file);
    if (text === undefined) return [`${file} is missing.`];
    const lines = text.split("\n").filter((line) => line.trim() !== "").length;
    return lines > MOST_PACKAGE_LINES ? [`${file} has ${lines} lines; at most ${MOST_PACKAGE_LINES}.`] : [];
  });
}

/** The tree is the fenced block with a line "packages/"; its entries are indented below the folder. */
export function treeFaults(readme: string, files: readonly string[]): string[] {
  const tree = readme.split(/^```.*$/m).find((block) => /^packages\/$/m.test(block));
  if (tree === undefined) return [`${MAP} has no tree: a fenced block with the line packages/.`];
  return FOLDERS.flatMap((folder) => {
    const section = new RegExp(`^${folder}/\\n((?: +.*\\n)*)`, "m").exec(tree)?.[1] ?? "";
    const listed = new Set(Array.from(section.matchAll(/^ {2}([\w-]+)\/ +\S/gm), (match) => match[1] ?? ""));
    const present = new Set(
      files.filter((file) => file.startsWith(`${folder}/`)).map((file) => file.split("/")[1] ?? ""),
    );
    return [
      ...[...present]
        .filter((name) => !listed.has(name))
        .map((name) => `The tree in ${MAP} lacks ${folder}/${name}.`),
      ...[...listed]
        .filter((name) => !present.has(name))
        .map((name) => `The tree in ${MAP} has ${folder}/${name}, which is not there.`),
    ];
  });
}

/** Paths in backticks that begin with a folder of ours, from the root, and targets of relative links, from the document. */
export function pathFaults(document: string, text: string, files: readonly string[]): string[] {
  const quoted = Array.from(
    text.matchAll(/`((?:packages|apps|scripts|docker|docs|examples)\/[\w./-]*)`/g),
    (match) => match[1] ?? "",
  );
  const linked = Array.from(text.matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g), (match) =>
    posix.join(posix.dirname(document), match[1] ?? ""),
  );
  const exists = (path: string): boolean =>
    files.some((file) => file === path || file.startsWith(`${path.replace(/\/$/, "")}/`));
  return [...new Set([...quoted, ...linked])]
    .filter((path) => !exists(path))
    .map((path) => `${document} names ${path}, which is not there.`);
}

/** `npm run X`, `npm start` and `npm test` have to be scripts of package.json. */
export function scriptFaults(document: string, text: string, scripts: readonly string[]): string[] {
  const named = Array.from(
    text.matchAll(/\bnpm (?:run (?:--?[\w-]+ )*([\w:-]+)|(start|test)\b)/g),
    (match) => match[1] ?? match[2] ?? "",
  );
  return [...new Set(named)]
    .filter((name) => !scripts.includes(name))
    .map((name) => `${document} runs "npm run ${name}", which package.json does not have.`);
}

function scriptNames(text: string): string[] {
  const json: unknown = JSON.parse(text);
  const scripts = typeof json === "object" && json !== null && "scripts" in json ? json.scripts : null;
  return Object.keys(scripts ?? {});
}
