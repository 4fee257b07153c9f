/**
 * Walks the tree of a conversation's messages: versions of a message are siblings, and the page shows one path from a
 * first message to a leaf.
 */

interface Node {
  readonly id: string;
  readonly parentId: string | null;
  readonly createdMs: number;
}

/**
 * The nodes from the first message to the leaf; empty when the leaf is missing, as after the import of a damaged
 * file.
 */
export function pathTo<N extends Node>(nodes: ReadonlyMap<string, N>, leafId: string | null): readonly N[] {
  const path: N[] = [];
  const seen = new Set<string>();
  for (let id = leafId; id !== null && !seen.has(id);) {
    const node = nodes.get(id);
    if (node === undefined) break;
    seen.add(id);
    path.push(node);
    id = node.parentId;
  }
  return path.toReversed();
}

/** All versions of a message, itself included, oldest first. */
export function versionsOf<N extends Node>(nodes: ReadonlyMap<string, N>, { parentId }: Node): readonly N[] {
  return childrenOf(nodes, parentId);
}

function childrenOf<N extends Node>(nodes: ReadonlyMap<string, N>, parentId: string | null): readonly N[] {
  return [...nodes.values()]
    .filter((node) => node.parentId === parentId)
    .toSorted((a, b) => a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1));
}

/** The leaf that is reached by always taking the newest version. */
export function newestLeaf(nodes: ReadonlyMap<string, Node>, id: string): string {
  let leaf = id;
  const seen = new Set<string>();
  while (!seen.has(leaf)) {
    seen.add(leaf);
    const next = childrenOf(nodes, leaf).at(-1);
    if (next === undefined) break;
    leaf = next.id;
  }
  return leaf;
}

/** A message and all messages that follow from it, on all branches. */
export function withDescendants(nodes: ReadonlyMap<string, Node>, id: string): readonly string[] {
  const found = [id];
  for (let i = 0; i < found.length; i++) {
    for (const node of childrenOf(nodes, found[i] ?? null)) if (!found.includes(node.id)) found.push(node.id);
  }
  return found;
}
