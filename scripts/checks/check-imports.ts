/** Who may import whom: reads the import statements of every source and holds them against one table. */
import { readFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { join, posix } from "node:path";
import { parseSync, Visitor } from "oxc-parser";

/** The packages of ours that a workspace may import, by the names of their folders; with a path, only that part of one. */
const TABLE: Readonly<Record<string, readonly string[]>> = {
  "packages/protocol": [],
  "packages/onnx": [],
  "packages/runtime": [],
  "packages/server": ["protocol"],
  "packages/testing": ["protocol", "server"],
  "packages/processing": ["protocol"],
  "packages/checkpoint": ["protocol"],
  "packages/models": ["protocol", "onnx", "processing"],
  "packages/engine": ["protocol", "runtime", "checkpoint", "models", "processing"],
  "packages/training": ["protocol", "onnx", "runtime", "checkpoint"],
  "packages/demo": ["protocol", "onnx", "runtime", "checkpoint", "models", "training"],
  "apps/controller": ["protocol", "server"],
  "apps/web": ["protocol", "server", "demo/scenes", "processing/view"],
  "apps/worker": ["protocol", "server", "engine", "models", "processing"],
  "apps/cli": ["protocol", "server", "engine", "runtime", "checkpoint", "models", "processing"],
};

/** The parts of an app that are pure enough for a script to run in simulated time instead of starting the app. */
const SIMULATED = ["apps/controller/src/registry/dispatch.ts", "apps/controller/src/registry/registry.ts"];

/** ONNX Runtime has one door. */
const NATIVE = ["koffi", "onnxruntime-node"];
const NATIVE_DOOR = "packages/runtime";

/** Sources that run in a browser, where Node's modules are not. */
const BROWSER =
  /^(packages\/(protocol\/|demo\/src\/scenes\/)|packages\/processing\/src\/image\/(view\.ts|resample\.ts|plans\/)|apps\/web\/src\/browser\/)/;
const SOURCE = /^(packages|apps|scripts)\/.*\.tsx?$/;
const TEST = /\.test\.tsx?$|^[^/]+\/[^/]+\/test\/|^packages\/testing\//;

/** package.json, as far as it says what may be imported. */
export interface Manifest {
  readonly dependencies: readonly string[];
  readonly devDependencies: readonly string[];
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

/** A sentence for each import that the table, a manifest or the borders between folders forbid. */
export async function importFaults(root: string, files: readonly string[]): Promise<string[]> {
  const manifests = new Map<string, Manifest>();
  for (const file of files.filter((path) => /^([^/]+\/[^/]+\/)?package\.json$/.test(path))) {
    manifests.set(posix.dirname(file), parseManifest(await readFile(join(root, file), "utf8")));
  }
  const faults = [...manifests.keys()]
    .filter((folder) => folder !== "." && !(folder in TABLE))
    .map((folder) => `${folder} is not in the import table of scripts/checks/check-imports.ts.`);
  for (const file of files.filter((path) => SOURCE.test(path))) {
    const imports = importsOf(file, await readFile(join(root, file), "utf8"));
    for (const found of imports) {
      const fault = importFault(file, found.specifier, manifests);
      if (fault !== undefined) faults.push(`${file}:${found.line} imports ${found.specifier}: ${fault}`);
    }
  }
  return faults;
}

/** Why `file` may not import `specifier`, or undefined when it may. */
export function importFault(
  file: string,
  specifier: string,
  manifests: ReadonlyMap<string, Manifest>,
): string | undefined {
  const folder = file.startsWith("scripts/") ? "." : file.split("/").slice(0, 2).join("/");
  const isTest = TEST.test(file);
  if (specifier.startsWith(".")) return isTest ? undefined : pathFault(file, folder, specifier);
  if (isBuiltin(specifier)) {
    if (!specifier.startsWith("node:")) return `write node:${specifier}.`;
    return BROWSER.test(file) && !isTest ? "it runs in a browser, where Node's modules are not." : undefined;
  }
  const name = packageName(specifier);
  if (NATIVE.includes(name) && folder !== NATIVE_DOOR) return `only ${NATIVE_DOOR} may.`;
  return tableFault(folder, specifier, isTest) ?? declarationFault(file, folder, name, manifests);
}

function pathFault(file: string, folder: string, specifier: string): string | undefined {
  const target = posix.join(posix.dirname(file), specifier);
  if (folder === ".") {
    const isApp = target.startsWith("apps/") && !SIMULATED.includes(target);
    return isApp ? "scripts start apps as processes." : undefined;
  }
  return target.startsWith(`${folder}/`) ? undefined : `it lies outside ${folder}; import the package.`;
}

function tableFault(folder: string, specifier: string, isTest: boolean): string | undefined {
  if (!specifier.startsWith("@llava/") || folder === ".") return undefined;
  if (specifier.startsWith("@llava/app-")) return "apps are started, not imported.";
  const allowed = TABLE[folder] ?? [];
  const wanted = specifier.slice("@llava/".length);
  const isAllowed = allowed.some((entry) => wanted === entry || wanted.startsWith(`${entry}/`));
  if (isTest || isAllowed) return undefined;
  return `${folder} may import ${allowed.length > 0 ? allowed.join(", ") : "none of our packages"}.`;
}

/** Sources need a dependency of their own; tests and configurations may use development tools of the root. */
function declarationFault(
  file: string,
  folder: string,
  name: string,
  manifests: ReadonlyMap<string, Manifest>,
): string | undefined {
  const own = manifests.get(folder);
  if (own?.dependencies.includes(name)) return undefined;
  const isTool = folder === "." || TEST.test(file) || !file.startsWith(`${folder}/src/`);
  const tools = [...(own?.devDependencies ?? []), ...(manifests.get(".")?.devDependencies ?? [])];
  if (isTool && tools.includes(name)) return undefined;
  if (folder === "." && name.startsWith("@llava/")) return undefined;
  return `${posix.join(folder, "package.json")} does not declare it.`;
}

/** The package of "zod", "zod/v4" or "@llava/model". */
function packageName(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

/** Every module that a source names: imports, exports from, types, and import() of a known name. */
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

function parseManifest(text: string): Manifest {
  const json: unknown = JSON.parse(text);
  const names = (key: string): string[] => {
    const value =
      typeof json === "object" && json !== null ? Object.entries(json).find(([name]) => name === key) : null;
    return Object.keys(value?.[1] ?? {});
  };
  return { dependencies: names("dependencies"), devDependencies: names("devDependencies") };
}
