/** The operations that both lowerings write alike. */
import { add, gelu, type Graph, mul, pad, reshape, sizeAt, slice, type Tensor } from "@llava/onnx";

export abstract class SharedOperations {
  protected readonly graph: Graph;

  constructor(graph: Graph) {
    this.graph = graph;
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
