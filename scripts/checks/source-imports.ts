/** Source imports are read from the syntax tree, so that strings and comments that look like imports do not count. */
import { readFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { parseSync, Visitor } from "oxc-parser";

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

/** A source file and the modules that it names. */
export interface Source {
  /** Path from the repository's root, with forward slashes. */
  readonly file: string;
  readonly imports: readonly Import[];
}

const SOURCE = /^(packages|apps|scripts)\/.*\.tsx?$/;
const TEST = /\.test\.tsx?$|^[^/]+\/[^/]+\/test\/|^packages\/testing\//;

/** Whether the file is a test or a helper of tests, which may use development dependencies. */
export function isTestFile(file: string): boolean {
  return TEST.test(file);
}

/** Reads all TypeScript sources among `files`. Throws for one that cannot be parsed. */
export async function readSources(root: string, files: readonly string[]): Promise<readonly Source[]> {
  return await Promise.all(
    files
      .filter((file) => SOURCE.test(file))
      .map(async (file) => ({ file, imports: importsOf(file, await readFile(join(root, file), "utf8")) })),
  );
}

/** The path from the root of what a relative import names; undefined for a package or a built-in module. */
export function relativeTarget(file: string, { specifier }: Import): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  // Vite's suffixes, such as "?worker&url", do not belong to the path.
  return posix.join(posix.dirname(file), specifier.replace(/\?.*$/, ""));
}

/** Every module that a source names: imports, exports from, types, and import() of a constant name. */
export function importsOf(file: string, source: string): Import[] {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file} cannot be parsed: ${errors[0]?.message}`);
  const found: Import[] = [];
  const add = (
    node: { readonly type: string; readonly value?: unknown; readonly start: number } | null,
  ): void => {
    if (node?.type !== "Literal" || typeof node.value !== "string") return;
    found.push({ specifier: node.value, line: source.slice(0, node.start).split("\n").length });
  };
  new Visitor({
    ImportDeclaration: ({ source: from }) => add(from),
    ExportAllDeclaration: ({ source: from }) => add(from),
    ExportNamedDeclaration: ({ source: from }) => add(from),
    ImportExpression: ({ source: from }) => add(from),
    TSImportType: ({ source: from }) => add(from),
  }).visit(program);
  return found;
}
