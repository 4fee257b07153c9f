/**
 * Declares the operations that model definitions are written against. Each architecture is written once; serving lowers it
 * to ONNX Runtime's fused operators, training to plain operators with gradients, so that what is trained is what is served.
 */
import type { Tensor } from "@llava/onnx";

export interface AttentionHeads {
  readonly heads: number;
  /** Fewer than `heads` in grouped-query attention: heads/kvHeads query heads share one key and value head. */
  readonly kvHeads: number;
  readonly headSize: number;
  /** Number of positions that a token sees in causal attention, itself included. Absent: all that came before. */
  readonly window?: number;
}

export interface Operations {
  /** A weight in the compute type; `shape` is the one that the architecture expects. Throws when the checkpoint's differs. */
  weight(name: string, shape: readonly number[]): Tensor;
  /** x·Wᵀ (+ b): x [..., in], `${name}.weight` [out, in], `${name}.bias` [out] → [..., out]. */
  linear(x: Tensor, name: string, outputSize: number, options: { readonly bias: boolean }): Tensor;
  /** Rows of the table `name` [rows, width]: ids [...] int64 → [..., width]. */
  embed(ids: Tensor, name: string, rows: number, width: number): Tensor;
  /** Non-overlapping patches: pixels [batch, 3, size, size] → [batch, patches, hidden], row by row. */
  patches(
    pixels: Tensor,
    name: string,
    geometry: { readonly size: number; readonly patch: number; readonly hidden: number },
  ): Tensor;
  /** One more row of zeros in front: [batch, rows, width] → [batch, 1 + rows, width]. */
  prependZeroRow(x: Tensor): Tensor;
  /** table [rows, width] with `row` [width] added to its first row. */
  withFirstRow(table: Tensor, row: Tensor): Tensor;
  /** Rows `start` … of [batch, rows, width]. */
  dropRows(x: Tensor, start: number): Tensor;
  add(a: Tensor, b: Tensor): Tensor;
  mul(a: Tensor, b: Tensor): Tensor;
  gelu(x: Tensor): Tensor;
  /** x·σ(alpha·x). */
  swish(x: Tensor, alpha: number): Tensor;
  layerNorm(x: Tensor, name: string, epsilon: number): Tensor;
  rmsNorm(x: Tensor, name: string, epsilon: number): Tensor;
  /** The residual stream after adding `x`, and its RMS norm: both [batch, tokens, hidden]. */
  addThenRmsNorm(
    stream: Tensor,
    x: Tensor,
    name: string,
    epsilon: number,
  ): { readonly stream: Tensor; readonly normed: Tensor };
  /** Every token sees every token: q, k, v [batch, tokens, heads·headSize] → the same shape. */
  attention(q: Tensor, k: Tensor, v: Tensor, heads: number): Tensor;
  /**
   * Every token sees itself and what came before, with rotary positions; in serving, what came before includes the KV
   * cache of `layer`. q [batch, tokens, heads·headSize], k and v [batch, tokens, kvHeads·headSize] → like q.
   */
  causalAttention(q: Tensor, k: Tensor, v: Tensor, layer: number, heads: AttentionHeads): Tensor;
  /** Rows of a flattened [rows, width]: x [..., width], indices [n] int64 → [n, width]. */
  pickRows(x: Tensor, indices: Tensor): Tensor;
  /** embeddings [batch, tokens, hidden], with row featureRows[b, t] of features [n, hidden] where that is ≥ 0. */
  mergeFeatures(embeddings: Tensor, features: Tensor, featureRows: Tensor): Tensor;
}
