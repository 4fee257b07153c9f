/** Who may import whom: reads the import statements of every source and holds them against one table. */
import { readFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { join, posix } from "node:path";
import { PACKAGE_TABLE } from "./import-table.ts";
import { isTestFile, type Source } from "./source-imports.ts";

/** The parts of an app that are pure enough for a script to run in simulated time instead of starting the app. */
const SIMULATED = ["apps/controller/src/registry/dispatch.ts", "apps/controller/src/registry/registry.ts"];

/** Only one package binds the native library of ONNX Runtime. */
const NATIVE = ["koffi", "onnxruntime-node"];
const NATIVE_USER = "packages/runtime";

/** The worker's routes and service know the Backend interface; the engine stands behind it in one file. */
const ENGINE_USER = "apps/worker/src/backends/local-backend.ts";

/** Sources that run in a browser, where Node's modules are not. */
const BROWSER =
  /^(packages\/(protocol\/|demo\/src\/scenes\/)|packages\/processing\/src\/image\/(view\.ts|resample\.ts|plans\/)|apps\/web\/src\/browser\/)/;

/** package.json, as far as it says what may be imported. */
export interface Manifest {
  readonly dependencies: readonly string[];
  readonly devDependencies: readonly string[];
}

/** A sentence for each import that the table, a manifest or the borders between folders forbid. */
export async function importFaults(
  root: string,
  files: readonly string[],
  sources: readonly Source[],
): Promise<string[]> {
  const manifests = new Map<string, Manifest>();
  for (const file of files.filter((path) => /^([^/]+\/[^/]+\/)?package\.json$/.test(path))) {
    manifests.set(posix.dirname(file), parseManifest(await readFile(join(root, file), "utf8")));
  }
  const faults = [...manifests.keys()]
    .filter((folder) => folder !== "." && !(folder in PACKAGE_TABLE))
    .map((folder) => `${folder} is not in the import table of scripts/checks/import-table.ts.`);
  for (const { file, imports } of sources) {
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
  const isTest = isTestFile(file);
  if (specifier.startsWith(".")) return isTest ? undefined : pathFault(file, folder, specifier);
  if (isBuiltin(specifier)) {
    if (!specifier.startsWith("node:")) return `write node:${specifier}.`;
    return BROWSER.test(file) && !isTest ? "it runs in a browser, where Node's modules are not." : undefined;
  }
  const name = packageName(specifier);
  if (NATIVE.includes(name) && folder !== NATIVE_USER) return `only ${NATIVE_USER} may.`;
  const isEngineInWorker = name === "@llava/engine" && file.startsWith("apps/worker/src/");
  if (isEngineInWorker && !isTest && file !== ENGINE_USER) return `only ${ENGINE_USER} may.`;
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
  const allowed = PACKAGE_TABLE[folder] ?? [];
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
  const isTool = folder === "." || isTestFile(file) || !file.startsWith(`${folder}/src/`);
  const tools = [...(own?.devDependencies ?? []), ...(manifests.get(".")?.devDependencies ?? [])];
  if (isTool && tools.includes(name)) return undefined;
  if (folder === "." && name.startsWith("@llava/")) return undefined;
  return `${posix.join(folder, "package.json")} does not declare it.`;
}

/** The package of "zod", "zod/v4" or "@llava/models". */
function packageName(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
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
