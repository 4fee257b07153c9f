/** Lowers a model definition to ONNX Runtime's fused operators, with weights that stay in the checkpoint's files. */
import {
  add,
  cast,
  dimAt,
  type DType,
  gatherRows,
  type Graph,
  GraphError,
  greaterOrEqual,
  max,
  reshape,
  sizeAt,
  type Tensor,
  transpose,
  where,
} from "@llava/onnx";
import type { AttentionHeads, Operations } from "./operations.ts";
import { rotaryTables } from "./rotary.ts";
import { ServingError } from "./serving-error.ts";
import { SharedOperations } from "./shared-operations.ts";

/** Where the bytes of a weight lie: what packages/checkpoint indexes. */
export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** File name inside the checkpoint's folder. */
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

export interface WeightSource {
  /** Throws when there is no such tensor. */
  get(name: string): StoredTensor;
}

/** The KV cache's side of the decoder graph; absent in graphs without causal attention. */
export interface CacheInputs {
  /** [batch] int32: index of the last token of each row, that is its length after this run minus one. */
  readonly lastPositions: Tensor;
  /** Scalar int32: the longest row's length after this run. */
  readonly totalLength: Tensor;
  /** Per layer, [batch, kvHeads, capacity, headSize] float32. */
  readonly keys: readonly Tensor[];
  readonly values: readonly Tensor[];
  readonly contextLength: number;
  readonly ropeTheta: number;
}

const CONTRIB = "com.microsoft";
const STORED_DTYPES: ReadonlyMap<string, DType> = new Map([
  ["F32", "float32"],
  ["F16", "float16"],
  ["BF16", "bfloat16"],
]);

export class ServingOperations extends SharedOperations implements Operations {
  readonly #weights: WeightSource;
  readonly #cache: CacheInputs | undefined;
  readonly #known = new Map<string, Tensor>();
  /** The caches as they are after the run, [key, value] per layer. */
  readonly present: { readonly key: Tensor; readonly value: Tensor }[] = [];
  #rotary: { cos: Tensor; sin: Tensor } | undefined;

  constructor(graph: Graph, weights: WeightSource, cache?: CacheInputs) {
    super(graph);
    this.#weights = weights;
    this.#cache = cache;
  }

  /** float32, whatever the file holds; ONNX Runtime folds the cast when it loads the graph. */
  weight(name: string, shape: readonly number[]): Tensor {
    return cast(this.graph, this.#stored(name, shape), "float32");
  }

  linear(x: Tensor, name: string, outputSize: number, { bias }: { readonly bias: boolean }): Tensor {
    const g = this.graph;
    const weight = this.weight(`${name}.weight`, [outputSize, sizeAt(x, -1)]);
    const product = g.apply(
      "FusedMatMul",
      [x, weight],
      { dtype: "float32", shape: x.shape.with(-1, outputSize) },
      {
        domain: CONTRIB,
        attributes: { transB: { int: 1 } },
      },
    );
    return bias ? add(g, product, this.weight(`${name}.bias`, [outputSize])) : product;
  }

  embed(ids: Tensor, name: string, rows: number, width: number): Tensor {
    return cast(this.graph, gatherRows(this.graph, this.#stored(name, [rows, width]), ids), "float32");
  }

  patches(
    pixels: Tensor,
    name: string,
    { size, patch, hidden }: { size: number; patch: number; hidden: number },
  ): Tensor {
    const g = this.graph;
    const grid = size / patch;
    const batch = dimAt(pixels, 0);
    const kernel = this.weight(name, [hidden, 3, patch, patch]);
    const map = g.apply(
      "Conv",
      [pixels, kernel],
      { dtype: "float32", shape: [batch, hidden, grid, grid] },
      {
        attributes: { kernel_shape: { ints: [patch, patch] }, strides: { ints: [patch, patch] } },
      },
    );
    return transpose(g, reshape(g, map, [batch, hidden, grid * grid]), [0, 2, 1]);
  }

  swish(x: Tensor, alpha: number): Tensor {
    return this.graph.apply("QuickGelu", [x], x, {
      domain: CONTRIB,
      attributes: { alpha: { float: alpha } },
    });
  }

  layerNorm(x: Tensor, name: string, epsilon: number): Tensor {
    const size = sizeAt(x, -1);
    const inputs = [x, this.weight(`${name}.weight`, [size]), this.weight(`${name}.bias`, [size])];
    return this.graph.apply("LayerNormalization", inputs, x, {
      attributes: { axis: { int: -1 }, epsilon: { float: epsilon } },
    });
  }

  rmsNorm(x: Tensor, name: string, epsilon: number): Tensor {
    return this.graph.apply(
      "SimplifiedLayerNormalization",
      [x, this.weight(`${name}.weight`, [sizeAt(x, -1)])],
      x,
      {
        attributes: { axis: { int: -1 }, epsilon: { float: epsilon }, stash_type: { int: 1 } },
      },
    );
  }

  /** Outputs 1 and 2 of the operator are statistics that its CPU kernel leaves out. */
  addThenRmsNorm(
    stream: Tensor,
    x: Tensor,
    name: string,
    epsilon: number,
  ): { stream: Tensor; normed: Tensor } {
    const statistic = { dtype: "float32", shape: x.shape.with(-1, 1) } as const;
    const weight = this.weight(`${name}.weight`, [sizeAt(x, -1)]);
    const [normed, , , sum] = this.graph.node(
      "SkipSimplifiedLayerNormalization",
      [x, stream, weight],
      [x, statistic, statistic, x],
      {
        domain: CONTRIB,
        attributes: { epsilon: { float: epsilon } },
      },
    );
    if (!normed || !sum) throw new GraphError("SkipSimplifiedLayerNormalization has four outputs.");
    return { stream: sum, normed };
  }

  attention(q: Tensor, k: Tensor, v: Tensor, heads: number): Tensor {
    return this.graph.apply("MultiHeadAttention", [q, k, v], q, {
      domain: CONTRIB,
      attributes: { num_heads: { int: heads } },
    });
  }

  causalAttention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layer: number,
    { heads, kvHeads, headSize }: AttentionHeads,
  ): Tensor {
    const cache = this.#cache;
    const key = cache?.keys[layer];
    const value = cache?.values[layer];
    if (!cache || !key || !value)
      throw new GraphError(`Layer ${layer} attends causally, but the graph has no KV cache for it.`);
    requireHeadSize(headSize);
    const { cos, sin } = this.#rotaryTables(cache, headSize);
    const inputs = [q, k, v, key, value, cache.lastPositions, cache.totalLength, cos, sin];
    const [output, presentKey, presentValue] = this.graph.node(
      "GroupQueryAttention",
      inputs,
      [q, key, value],
      {
        domain: CONTRIB,
        attributes: { num_heads: { int: heads }, kv_num_heads: { int: kvHeads }, do_rotary: { int: 1 } },
      },
    );
    if (!output || !presentKey || !presentValue)
      throw new GraphError("GroupQueryAttention has three outputs.");
    this.present.push({ key: presentKey, value: presentValue });
    return output;
  }

  pickRows(x: Tensor, indices: Tensor): Tensor {
    return gatherRows(this.graph, reshape(this.graph, x, ["rows", sizeAt(x, -1)]), indices);
  }

  mergeFeatures(embeddings: Tensor, features: Tensor, featureRows: Tensor): Tensor {
    const g = this.graph;
    const none = g.constant("int64", [], BigInt64Array.of(0n));
    const isPicture = reshape(g, greaterOrEqual(g, featureRows, none), [...featureRows.shape, 1]);
    const picked = gatherRows(g, features, max(g, featureRows, none));
    return where(g, isPicture, picked, embeddings);
  }

  #rotaryTables(cache: CacheInputs, headSize: number): { cos: Tensor; sin: Tensor } {
    if (this.#rotary) return this.#rotary;
    const { cos, sin } = rotaryTables(cache.contextLength, headSize, cache.ropeTheta);
    const shape = [cache.contextLength, headSize / 2];
    this.#rotary = {
      cos: this.graph.constant("float32", shape, cos),
      sin: this.graph.constant("float32", shape, sin),
    };
    return this.#rotary;
  }

  #stored(name: string, shape: readonly number[]): Tensor {
    const { dtype, shape: stored, file, offset, length } = this.#weights.get(name);
    if (stored.join() !== shape.join()) throw wrongShape(name, stored, shape);
    const known = this.#known.get(name);
    if (known) return known;
    const readable = STORED_DTYPES.get(dtype);
    if (!readable) throw wrongDtype(name, dtype);
    const tensor = this.graph.external(name, readable, shape, { location: file, offset, length });
    this.#known.set(name, tensor);
    return tensor;
  }
}

/** What GroupQueryAttention's rotation takes; the kernel itself would say so only when it runs. */
const HEAD_SIZE_STEP = 16;

function requireHeadSize(headSize: number): void {
  if (headSize % HEAD_SIZE_STEP === 0) return;
  throw new ServingError(
    "unsupported",
    `its attention heads have ${headSize} numbers each; multiples of ${HEAD_SIZE_STEP} can be served. Take another model.`,
  );
}

function wrongShape(name: string, stored: readonly number[], expected: readonly number[]): ServingError {
  return new ServingError(
    "mismatch",
    `${name} is [${stored.join(", ")}] in the weights, but its config.json asks for [${expected.join(", ")}]. The files belong to different models; copy the whole folder again from where the model came from.`,
  );
}

function wrongDtype(name: string, dtype: string): ServingError {
  return new ServingError(
    "unsupported",
    `${name} is stored as ${dtype}; F32, F16 and BF16 can be served. Take the float16 or bfloat16 version of the model.`,
  );
}
