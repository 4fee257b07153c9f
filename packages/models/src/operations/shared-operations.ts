/** SharedOperations lowers the operations that serving and training write alike. */
import {
  add,
  cast,
  dimAt,
  gelu,
  type Graph,
  matMul,
  mul,
  pad,
  reshape,
  sizeAt,
  slice,
  type Tensor,
  transpose,
} from "@llava/onnx";
import type { ComputeType } from "./compute-type.ts";

/** Edges of the square image and of one patch, pixels, and the numbers that a patch becomes. */
export interface PatchGeometry {
  readonly size: number;
  readonly patch: number;
  readonly hidden: number;
}

export abstract class SharedOperations {
  protected readonly graph: Graph;
  protected readonly computeType: ComputeType;

  constructor(graph: Graph, computeType: ComputeType) {
    this.graph = graph;
    this.computeType = computeType;
  }

  abstract weight(name: string, shape: readonly number[]): Tensor;

  /** A convolution without overlap, as one matrix product over the pixels of each patch. */
  patches(pixels: Tensor, name: string, { size, patch, hidden }: PatchGeometry): Tensor {
    const g = this.graph;
    const grid = size / patch;
    const batch = dimAt(pixels, 0);
    const cells = reshape(g, cast(g, pixels, this.computeType), [batch, 3, grid, patch, grid, patch]);
    const tiles = transpose(g, cells, [0, 2, 4, 1, 3, 5]);
    const rows = reshape(g, tiles, [batch, grid * grid, 3 * patch * patch]);
    const kernel = reshape(g, this.weight(name, [hidden, 3, patch, patch]), [hidden, 3 * patch * patch]);
    return matMul(g, rows, kernel, { transposeB: true });
  }

  prependZeroRow(x: Tensor): Tensor {
    return pad(this.graph, x, 1, 0, 1);
  }

  withFirstRow(table: Tensor, row: Tensor): Tensor {
    const first = reshape(this.graph, row, [1, sizeAt(row, 0)]);
    return add(this.graph, table, pad(this.graph, first, 0, sizeAt(table, 0) - 1, 0));
  }

  dropRows(x: Tensor, start: number): Tensor {
    return slice(this.graph, x, start, sizeAt(x, 1), 1);
  }

  add(a: Tensor, b: Tensor): Tensor {
    return add(this.graph, a, b);
  }

  mul(a: Tensor, b: Tensor): Tensor {
    return mul(this.graph, a, b);
  }

  gelu(x: Tensor): Tensor {
    return gelu(this.graph, x);
  }
}
