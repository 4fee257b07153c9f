import { array, assert, nat, property, tuple } from "fast-check";
import { describe, expect, it } from "vitest";

import { newestLeaf, pathTo, versionsOf, withDescendants } from "./message-tree.ts";

interface Node {
  readonly id: string;
  readonly parentId: string | null;
  readonly createdMs: number;
}

/** Trees in which each node's parent is an earlier node or null. */
const trees = array(tuple(nat(), nat({ max: 5 })), { minLength: 1, maxLength: 40 }).map((pairs) => {
  const nodes = new Map<string, Node>();
  for (const [index, [parent, createdMs]] of pairs.entries()) {
    const above = parent % (index + 1);
    nodes.set(String(index), {
      id: String(index),
      parentId: above === index ? null : String(above),
      createdMs,
    });
  }
  return nodes;
});

describe("message tree", () => {
  it("gives a path from a first message to the leaf, each the parent of the next", () => {
    assert(
      property(trees, (nodes) => {
        for (const { id } of nodes.values()) {
          const path = pathTo(nodes, id);
          expect(path[0]?.parentId).toBeNull();
          expect(path.at(-1)?.id).toBe(id);
          for (const [index, node] of path.entries()) expect(node.parentId).toBe(path[index - 1]?.id ?? null);
        }
      }),
    );
  });

  it("finds each message once among its versions, and leaves below it", () => {
    assert(
      property(trees, (nodes) => {
        for (const node of nodes.values()) {
          expect(versionsOf(nodes, node).filter(({ id }) => id === node.id)).toHaveLength(1);
          const leaf = newestLeaf(nodes, node.id);
          expect([...nodes.values()].some(({ parentId }) => parentId === leaf)).toBe(false);
          expect(pathTo(nodes, leaf).map(({ id }) => id)).toContain(node.id);
        }
      }),
    );
  });

  it("removes a message with all that follows and nothing else", () => {
    assert(
      property(trees, nat(), (nodes, pick) => {
        const id = String(pick % nodes.size);
        const gone = new Set(withDescendants(nodes, id));
        for (const node of nodes.values())
          expect(gone.has(node.id)).toBe(pathTo(nodes, node.id).some((above) => above.id === id));
      }),
    );
  });

  it("survives a cycle, as a damaged file may contain one", () => {
    const nodes = new Map<string, Node>([
      ["a", { id: "a", parentId: "b", createdMs: 0 }],
      ["b", { id: "b", parentId: "a", createdMs: 0 }],
    ]);
    expect(pathTo(nodes, "a").length).toBeLessThanOrEqual(2);
    expect(withDescendants(nodes, "a")).toEqual(["a", "b"]);
    expect(["a", "b"]).toContain(newestLeaf(nodes, "a"));
  });
});
