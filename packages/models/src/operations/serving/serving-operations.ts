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
import type { ComputeType } from "../compute-type.ts";
import type { AttentionHeads, Operations } from "../operations.ts";
import { rotaryTables } from "../rotary.ts";
import { ServingError } from "./serving-error.ts";
import { fileLocation, type QuantizedLinear, type StoredTensor, type WeightSource } from "./weight-source.ts";
import { type PatchGeometry, SharedOperations } from "../shared-operations.ts";

/** The KV cache's side of the decoder graph; absent in graphs without causal attention. */
export interface CacheInputs {
  /** [batch] int32: index of the last token of each row, that is its length after this run minus one. */
  readonly lastPositions: Tensor;
  /** Scalar int32: the longest row's length after this run. */
  readonly totalLength: Tensor;
  /** Per layer, [batch, kvHeads, capacity, headSize] of the compute type. */
  readonly keys: readonly Tensor[];
  readonly values: readonly Tensor[];
  readonly contextLength: number;
  readonly ropeTheta: number;
}

export interface ServingOptions {
  /** Default "float32". */
  readonly computeType?: ComputeType;
  /** Needed for causal attention. */
  readonly cache?: CacheInputs;
}

const CONTRIB = "com.microsoft";
const STORED_DTYPES: ReadonlyMap<string, DType> = new Map([
  ["F32", "float32"],
  ["F16", "float16"],
  ["BF16", "bfloat16"],
]);
/** MatMulNBits: activations become int8 too, block by block. All other levels compute in floats, many times slower. */
const INT8_ACTIVATIONS = 4;

/**
 * In float16 and bfloat16 every operator takes and gives the compute type, as the kernels of GPUs want it. ONNX Runtime's
 * CPU provider (1.30.0; found by loading each operator alone) has float16 kernels of GroupQueryAttention, MatMulNBits, the
 * layer normalizations, Gather and all that only moves elements, except Pad. Around FusedMatMul, MultiHeadAttention, Gelu,
 * QuickGelu, Add, Mul, Where and Pad it puts casts to float32 of its own when it loads a graph, and folds those of weights.
 * It does not do so for bfloat16: such a graph does not load on the CPU.
 */
export class ServingOperations extends SharedOperations implements Operations {
  readonly #weights: WeightSource;
  readonly #cache: CacheInputs | undefined;
  readonly #known = new Map<string, Tensor>();
  /** The caches as they are after the run, [key, value] per layer. */
  readonly present: { readonly key: Tensor; readonly value: Tensor }[] = [];
  #rotary: { cos: Tensor; sin: Tensor } | undefined;

  constructor(graph: Graph, weights: WeightSource, { computeType = "float32", cache }: ServingOptions = {}) {
    super(graph, computeType);
    this.#weights = weights;
    this.#cache = cache;
  }

  /** A weight in the compute type, whatever the file holds; ONNX Runtime folds the cast when it loads the graph. */
  weight(name: string, shape: readonly number[]): Tensor {
    return cast(this.graph, this.#stored(name, shape), this.computeType);
  }

  linear(x: Tensor, name: string, outputSize: number, { bias }: { readonly bias: boolean }): Tensor {
    const blocks = this.#weights.blocks?.(`${name}.weight`);
    const product = blocks
      ? this.#quantizedProduct(x, `${name}.weight`, outputSize, blocks)
      : this.#product(x, `${name}.weight`, outputSize);
    return bias ? add(this.graph, product, this.weight(`${name}.bias`, [outputSize])) : product;
  }

  #product(x: Tensor, name: string, outputSize: number): Tensor {
    const g = this.graph;
    const stored = this.#table(name, [outputSize, sizeAt(x, -1)]);
    const emitFirst = this.#weights.castWeights === "per-run";
    const weight = cast(g, stored, this.computeType, { emitFirst });
    return g.apply(
      "FusedMatMul",
      [x, weight],
      { dtype: this.computeType, shape: x.shape.with(-1, outputSize) },
      { domain: CONTRIB, attributes: { transB: { int: 1 } } },
    );
  }

  /** Without zero points the kernel takes the middle of the range, 8 or 128, as the file does. */
  #quantizedProduct(
    x: Tensor,
    name: string,
    outputSize: number,
    { bits, blockSize, data, scales }: QuantizedLinear,
  ): Tensor {
    const inputSize = sizeAt(x, -1);
    const perRow = Math.ceil(inputSize / blockSize);
    requireShape(name, data, [outputSize, perRow, (blockSize * bits) / 8]);
    requireShape(name, scales, [outputSize * perRow]);
    const inputs = [
      x,
      this.#initializer(`${name}.blocks`, data, "uint8"),
      cast(this.graph, this.#initializer(`${name}.scales`, scales, "float32"), this.computeType),
    ];
    return this.graph.apply(
      "MatMulNBits",
      inputs,
      { dtype: this.computeType, shape: x.shape.with(-1, outputSize) },
      {
        domain: CONTRIB,
        attributes: {
          K: { int: inputSize },
          N: { int: outputSize },
          bits: { int: bits },
          block_size: { int: blockSize },
          accuracy_level: { int: INT8_ACTIVATIONS },
        },
      },
    );
  }

  embed(ids: Tensor, name: string, rows: number, width: number): Tensor {
    return cast(this.graph, gatherRows(this.graph, this.#table(name, [rows, width]), ids), this.computeType);
  }

  /** A convolution in float32. Half types have a product instead: on CUDA a convolution needs cuDNN, 0.9 GB, for this alone. */
  override patches(pixels: Tensor, name: string, geometry: PatchGeometry): Tensor {
    if (this.computeType !== "float32") return super.patches(pixels, name, geometry);
    const { size, patch, hidden } = geometry;
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

  /** ONNX Runtime finds the float32 formula at load and fuses it with the bias before it; half types name the operator. */
  override gelu(x: Tensor): Tensor {
    if (this.computeType === "float32") return super.gelu(x);
    return this.graph.apply("Gelu", [x], x, { domain: CONTRIB });
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
    { heads, kvHeads, headSize, window }: AttentionHeads,
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
        attributes: {
          num_heads: { int: heads },
          kv_num_heads: { int: kvHeads },
          do_rotary: { int: 1 },
          // A count of positions, the token's own included, as in transformers. ONNX Runtime's CPU kernel let one more
          // through in earlier releases; the golden mistral-bf16 notices.
          ...(window === undefined ? {} : { local_window_size: { int: window } }),
        },
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
    const isImage = reshape(g, greaterOrEqual(g, featureRows, none), [...featureRows.shape, 1]);
    const picked = gatherRows(g, features, max(g, featureRows, none));
    return where(g, isImage, picked, embeddings);
  }

  #rotaryTables(cache: CacheInputs, headSize: number): { cos: Tensor; sin: Tensor } {
    if (this.#rotary) return this.#rotary;
    const { cos, sin } = rotaryTables(cache.contextLength, headSize, cache.ropeTheta);
    const shape = [cache.contextLength, headSize / 2];
    this.#rotary = {
      cos: cast(this.graph, this.graph.constant("float32", shape, cos), this.computeType),
      sin: cast(this.graph, this.graph.constant("float32", shape, sin), this.computeType),
    };
    return this.#rotary;
  }

  /** A matrix whose bytes matter: with tied embeddings it is looked up in and multiplied by. */
  #table(name: string, shape: readonly number[]): Tensor {
    return this.#stored(name, shape, this.#weights.castWeights === "per-run");
  }

  #stored(name: string, shape: readonly number[], isOverridable = false): Tensor {
    const stored = this.#weights.get(name);
    requireShape(name, stored, shape);
    const dtype = STORED_DTYPES.get(stored.dtype);
    if (!dtype) throw wrongDtype(name, stored.dtype);
    return this.#initializer(name, stored, dtype, isOverridable);
  }

  #initializer(
    name: string,
    { shape, file, offset, length }: StoredTensor,
    dtype: DType,
    isOverridable = false,
  ): Tensor {
    const known = this.#known.get(name);
    if (known) return known;
    const external = { location: fileLocation(this.#weights, file), offset, length };
    const tensor = this.graph.external(name, dtype, shape, external, { isOverridable });
    this.#known.set(name, tensor);
    return tensor;
  }
}

/** The multiple of the head size that GroupQueryAttention's rotation takes; the kernel itself would refuse only at a run. */
const HEAD_SIZE_STEP = 16;

function requireHeadSize(headSize: number): void {
  if (headSize % HEAD_SIZE_STEP === 0) return;
  throw new ServingError(
    "unsupported",
    `its attention heads have ${headSize} numbers each; multiples of ${HEAD_SIZE_STEP} can be served. Take another model.`,
  );
}

function requireShape(name: string, { shape }: StoredTensor, expected: readonly number[]): void {
  if (shape.join() === expected.join()) return;
  throw new ServingError(
    "mismatch",
    `${name} is [${shape.join(", ")}] in the weights, but its config.json asks for [${expected.join(", ")}]. The files belong to different models; copy the whole folder again from where the model came from.`,
  );
}

function wrongDtype(name: string, dtype: string): ServingError {
  return new ServingError(
    "unsupported",
    `${name} is stored as ${dtype}; F32, F16 and BF16 can be served. Take the float16 or bfloat16 version of the model.`,
  );
}
