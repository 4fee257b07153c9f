/** Appends elementwise operators and their gradients. */
import { scalarLike } from "./cast.ts";
import type { Graph } from "../graph/graph.ts";
import { sumTo } from "./reduction.ts";
import {
  broadcast,
  formatShape,
  GraphError,
  requireDType,
  sameShape,
  staticShape,
  type Tensor,
} from "../tensor/tensor.ts";

function requireSameDType(op: string, a: Tensor, b: Tensor): void {
  if (a.dtype !== b.dtype) throw new GraphError(`${op} of ${a.dtype} and ${b.dtype}: cast one of them.`);
}

function binary(g: Graph, op: string, a: Tensor, b: Tensor): Tensor {
  requireSameDType(op, a, b);
  return g.apply(op, [a, b], { dtype: a.dtype, shape: broadcast(a, b) });
}

function unary(g: Graph, op: string, x: Tensor): Tensor {
  return g.apply(op, [x], x);
}

export function add(g: Graph, a: Tensor, b: Tensor): Tensor {
  const y = binary(g, "Add", a, b);
  g.record([a, b], [y], ([dy], needs) =>
    dy ? [a, b].map((x) => (needs(x) ? sumTo(g, dy, x) : undefined)) : [],
  );
  return y;
}

export function sub(g: Graph, a: Tensor, b: Tensor): Tensor {
  const y = binary(g, "Sub", a, b);
  g.record([a, b], [y], ([dy], needs) =>
    dy ? [needs(a) ? sumTo(g, dy, a) : undefined, needs(b) ? sumTo(g, neg(g, dy), b) : undefined] : [],
  );
  return y;
}

export function mul(g: Graph, a: Tensor, b: Tensor): Tensor {
  const y = binary(g, "Mul", a, b);
  g.record([a, b], [y], ([dy], needs) =>
    dy
      ? [needs(a) ? sumTo(g, mul(g, dy, b), a) : undefined, needs(b) ? sumTo(g, mul(g, dy, a), b) : undefined]
      : [],
  );
  return y;
}

/** a / b; differentiable in both. */
export function div(g: Graph, a: Tensor, b: Tensor): Tensor {
  const y = binary(g, "Div", a, b);
  g.record([a, b], [y], ([dy], needs) => {
    if (!dy) return [];
    const scaled = div(g, dy, b);
    return [
      needs(a) ? sumTo(g, scaled, a) : undefined,
      needs(b) ? sumTo(g, neg(g, mul(g, scaled, y)), b) : undefined,
    ];
  });
  return y;
}

export function neg(g: Graph, x: Tensor): Tensor {
  const y = unary(g, "Neg", x);
  g.record([x], [y], ([dy]) => (dy ? [neg(g, dy)] : []));
  return y;
}

/** x · factor, for a factor known now. */
export function scale(g: Graph, x: Tensor, factor: number): Tensor {
  return mul(g, x, scalarLike(g, x, factor));
}

export function exp(g: Graph, x: Tensor): Tensor {
  const y = unary(g, "Exp", x);
  g.record([x], [y], ([dy]) => (dy ? [mul(g, dy, y)] : []));
  return y;
}

/** √x. */
export function sqrt(g: Graph, x: Tensor): Tensor {
  const y = unary(g, "Sqrt", x);
  g.record([x], [y], ([dy]) => (dy ? [div(g, scale(g, dy, 0.5), y)] : []));
  return y;
}

/** Smaller of a and b; no gradient (it clips a scalar of the optimizer). */
export function min(g: Graph, a: Tensor, b: Tensor): Tensor {
  return binary(g, "Min", a, b);
}

/** Larger of a and b; no gradient (it clamps indices). */
export function max(g: Graph, a: Tensor, b: Tensor): Tensor {
  return binary(g, "Max", a, b);
}

/** a ≥ b as bool; no gradient. */
export function greaterOrEqual(g: Graph, a: Tensor, b: Tensor): Tensor {
  requireSameDType("GreaterOrEqual", a, b);
  return g.apply("GreaterOrEqual", [a, b], { dtype: "bool", shape: broadcast(a, b) });
}

/** condition ? a : b, with broadcasting of the condition over equal shapes of a and b. */
export function where(g: Graph, condition: Tensor, a: Tensor, b: Tensor): Tensor {
  requireDType(condition, "bool");
  requireSameDType("Where", a, b);
  if (!sameShape(a.shape, b.shape) || !sameShape(broadcast(condition, a), a.shape))
    throw new GraphError(
      `where() needs equal shapes, got ${formatShape(a.shape)} and ${formatShape(b.shape)} under a condition ${formatShape(condition.shape)}.`,
    );
  const y = g.apply("Where", [condition, a, b], a);
  g.record([a, b], [y], ([dy], needs) => {
    if (!dy) return [];
    const zero = scalarLike(g, a, 0);
    const keep = (x: Tensor, first: Tensor, second: Tensor): Tensor | undefined =>
      needs(x) ? g.apply("Where", [condition, first, second], x) : undefined;
    return [keep(a, dy, zero), keep(b, zero, dy)];
  });
  return y;
}

/**
 * x · σ(α x): SiLU for α = 1 (Llama), CLIP's QuickGELU for α = 1.702.
 * With y = x·s the derivative is s + α·y·(1 − s).
 */
export function swish(g: Graph, x: Tensor, alpha = 1): Tensor {
  const s = unary(g, "Sigmoid", alpha === 1 ? x : scale(g, x, alpha));
  const y = binary(g, "Mul", x, s);
  g.record([x], [y], ([dy]) => {
    if (!dy) return [];
    const slope = mul(g, y, sub(g, scalarLike(g, x, 1), s));
    return [mul(g, dy, add(g, s, alpha === 1 ? slope : scale(g, slope, alpha)))];
  });
  return y;
}

/** Exact GELU: x · Φ(x), Φ(x) = ½ (1 + erf(x/√2)); the derivative is Φ(x) + x·φ(x). */
export function gelu(g: Graph, x: Tensor): Tensor {
  const erf = unary(g, "Erf", binary(g, "Mul", x, scalarLike(g, x, Math.SQRT1_2)));
  const phi = binary(g, "Mul", binary(g, "Add", erf, scalarLike(g, x, 1)), scalarLike(g, x, 0.5));
  const y = binary(g, "Mul", x, phi);
  g.record([x], [y], ([dy]) => {
    if (!dy) return [];
    const density = scale(g, exp(g, scale(g, mul(g, x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return [mul(g, dy, add(g, phi, mul(g, x, density)))];
  });
  return y;
}

/** Softmax over the last axis; dx = y·dy − y·Σ(y·dy). */
export function softmax(g: Graph, x: Tensor): Tensor {
  const y = g.apply("Softmax", [x], x, { attributes: { axis: { int: -1 } } });
  g.record([x], [y], ([dy]) => {
    if (!dy) return [];
    const weighted = mul(g, dy, y);
    const shape = staticShape(x);
    const total = sumTo(g, weighted, { ...x, shape: [...shape.slice(0, -1), 1] });
    return [sub(g, weighted, mul(g, y, total))];
  });
  return y;
}
