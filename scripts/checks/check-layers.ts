/** Checks that imports between the folders of one source tree go one way, and that no imports form a circle. */
import { posix } from "node:path";
import { FOLDER_ORDER, ROOT_LAYER } from "./import-table.ts";
import { isTestFile, relativeTarget, type Source } from "./source-imports.ts";

const TREE = /^((?:packages|apps)\/[^/]+\/src|scripts)\//;

/** A sentence for each import against the order of folders, each folder without a place in it, and each circle. */
export function layerFaults(
  sources: readonly Source[],
  orders: Readonly<Record<string, readonly string[]>> = FOLDER_ORDER,
): string[] {
  return [
    ...orderFaults(
      sources.filter(({ file }) => !isTestFile(file)),
      orders,
    ),
    ...circles(sources).map((circle) => `Imports form a circle: ${circle.join(" -> ")}.`),
  ];
}

function orderFaults(
  sources: readonly Source[],
  orders: Readonly<Record<string, readonly string[]>>,
): string[] {
  const faults = new Set<string>();
  for (const { file, imports } of sources) {
    const tree = TREE.exec(file)?.[1];
    if (tree === undefined) continue;
    const order = orders[tree];
    const own = layerOf(file, tree, order);
    if (own === undefined) {
      faults.add(`${posix.dirname(file)} has no place in FOLDER_ORDER of scripts/checks/import-table.ts.`);
      continue;
    }
    for (const found of imports) {
      const target = relativeTarget(file, found);
      if (target === undefined || !target.startsWith(`${tree}/`)) continue;
      const theirs = layerOf(target, tree, order);
      if (theirs === undefined || rank(theirs, order) <= rank(own, order)) continue;
      faults.add(
        `${file}:${found.line} imports ${found.specifier}: "${own}" lies below "${theirs}" in FOLDER_ORDER.`,
      );
    }
  }
  return [...faults];
}

/** The listed folder that holds the file, the longest one where several do; undefined when none is listed. */
function layerOf(file: string, tree: string, order: readonly string[] | undefined): string | undefined {
  const folder = posix.dirname(file.slice(tree.length + 1));
  if (folder === ROOT_LAYER) return ROOT_LAYER;
  return order
    ?.filter((layer) => folder === layer || folder.startsWith(`${layer}/`))
    .toSorted((a, b) => b.length - a.length)[0];
}

function rank(layer: string, order: readonly string[] | undefined): number {
  return layer === ROOT_LAYER ? Number.POSITIVE_INFINITY : (order?.indexOf(layer) ?? -1);
}

/**
 * The strongly connected components of more than one file, each as the files that it holds, sorted (Tarjan, SIAM J.
 * Comput. 1972).
 */
export function circles(sources: readonly Source[]): string[][] {
  const known = new Map(sources.map((source) => [source.file, source]));
  const numbers = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): number => {
    const number = numbers.size;
    numbers.set(file, number);
    let low = number;
    stack.push(file);
    const source = known.get(file);
    for (const one of source?.imports ?? []) {
      const target = relativeTarget(file, one);
      if (target === undefined || target === file || !known.has(target)) continue;
      if (!numbers.has(target)) low = Math.min(low, visit(target));
      else if (stack.includes(target)) low = Math.min(low, numbers.get(target) ?? low);
    }
    lowest.set(file, low);
    if (low === number) {
      const component = stack.splice(stack.indexOf(file));
      if (component.length > 1) found.push(component.toSorted());
    }
    return low;
  };
  for (const { file } of sources) if (!numbers.has(file)) visit(file);
  return found;
}
