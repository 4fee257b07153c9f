import { expect, it } from "vitest";
import { Graph, gradients, matMul, matrixFlops, mul, sumAll } from "../index.ts";

it("counts two operations for each product of a matrix multiplication", () => {
  const g = new Graph("plain");
  matMul(g, g.input("a", "float32", [3, 4]), g.input("b", "float32", [4, 5]));
  expect(matrixFlops(g)).toBe(2 * 3 * 4 * 5);
});

it("counts every matrix of a batch, and nothing else", () => {
  const g = new Graph("batch");
  const scores = matMul(g, g.input("q", "float32", [2, 6, 7, 8]), g.input("k", "float32", [2, 6, 9, 8]), {
    transposeB: true,
    alpha: 0.5,
  });
  mul(g, scores, g.scalar(2));
  expect(matrixFlops(g)).toBe(2 * (2 * 6) * 7 * 9 * 8);
});

it("takes the inner extent from the right axis of a transposed left matrix", () => {
  const g = new Graph("transposed");
  matMul(g, g.input("a", "float32", [4, 3]), g.input("b", "float32", [4, 5]), { transposeA: true });
  expect(matrixFlops(g)).toBe(2 * 3 * 4 * 5);
});

it("finds that a backward pass costs twice the forward pass", () => {
  const g = new Graph("layer");
  const x = g.input("x", "float32", [16, 4]);
  const w = g.input("w", "float32", [5, 4]);
  const y = matMul(g, x, w, { transposeB: true });
  const forward = matrixFlops(g);
  expect(forward).toBe(2 * 16 * 4 * 5);
  gradients(g, sumAll(g, mul(g, y, y)), [x, w]);
  expect(matrixFlops(g)).toBe(3 * forward);
});

it("needs known extents", () => {
  const g = new Graph("symbolic");
  matMul(g, g.input("a", "float32", ["rows", 4]), g.input("b", "float32", [4, 5]));
  expect(() => matrixFlops(g)).toThrow("rows is symbolic");
});
