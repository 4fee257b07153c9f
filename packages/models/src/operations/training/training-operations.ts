/** TrainingOperations lowers a model definition to plain operators with gradients, over static shapes. */
import {
  add,
  cast,
  concat,
  elementCount,
  expand,
  gatherRows,
  type Graph,
  GraphError,
  greaterOrEqual,
  layerNorm,
  matMul,
  max,
  mul,
  reshape,
  rmsNorm,
  scalarLike,
  scale,
  sizeAt,
  softmax,
  staticShape,
  swish,
  type Tensor,
  transpose,
} from "@llava/onnx";
import type { ComputeType } from "../compute-type.ts";
import type { AttentionHeads, Operations } from "../operations.ts";
import { rotaryTables } from "../rotary.ts";
import { SharedOperations } from "../shared-operations.ts";

/** Added to the score of a position that may not be seen; float16 holds it, and e^−1e4 is 0 in every float type. */
const MASKED = -1e4;

interface RotaryConstants {
  readonly cos: Tensor;
  readonly sin: Tensor;
  /** rotateHalf as a matrix. */
  readonly permutation: Tensor;
}

export class TrainingOperations extends SharedOperations implements Operations {
  readonly #ropeTheta: number;
  readonly #parameters = new Map<string, Tensor>();
  readonly #weights = new Map<string, Tensor>();
  readonly #rotary = new Map<string, RotaryConstants>();
  readonly #masks = new Map<string, Tensor>();

  /** `computeType`: of activations; parameters and their gradients are float32 whatever it is. Default float32. */
  constructor(graph: Graph, options: { readonly ropeTheta: number; readonly computeType?: ComputeType }) {
    super(graph, options.computeType ?? "float32");
    this.#ropeTheta = options.ropeTheta;
  }

  /** Every weight that the definition asked for, as float32 graph inputs under their checkpoint names. */
  get parameters(): ReadonlyMap<string, Tensor> {
    return this.#parameters;
  }

  weight(name: string, shape: readonly number[]): Tensor {
    const parameter = this.#parameter(name, shape);
    const known = this.#weights.get(name) ?? cast(this.graph, parameter, this.computeType);
    this.#weights.set(name, known);
    return known;
  }

  #parameter(name: string, shape: readonly number[]): Tensor {
    const known = this.#parameters.get(name);
    if (!known) {
      const input = this.graph.input(name, "float32", shape);
      this.#parameters.set(name, input);
      return input;
    }
    if (known.shape.join() !== shape.join())
      throw new GraphError(`${name} is used as [${known.shape.join()}] and as [${shape.join()}].`);
    return known;
  }

  linear(x: Tensor, name: string, outputSize: number, { bias }: { readonly bias: boolean }): Tensor {
    const product = matMul(this.graph, x, this.weight(`${name}.weight`, [outputSize, sizeAt(x, -1)]), {
      transposeB: true,
    });
    return bias ? add(this.graph, product, this.weight(`${name}.bias`, [outputSize])) : product;
  }

  embed(ids: Tensor, name: string, rows: number, width: number): Tensor {
    // Cast after the look-up: the table itself is larger than the rows that a batch reads.
    return cast(
      this.graph,
      gatherRows(this.graph, this.#parameter(name, [rows, width]), ids),
      this.computeType,
    );
  }

  swish(x: Tensor, alpha: number): Tensor {
    return swish(this.graph, x, alpha);
  }

  layerNorm(x: Tensor, name: string, epsilon: number): Tensor {
    const size = sizeAt(x, -1);
    return layerNorm(
      this.graph,
      x,
      this.weight(`${name}.weight`, [size]),
      this.weight(`${name}.bias`, [size]),
      epsilon,
    );
  }

  rmsNorm(x: Tensor, name: string, epsilon: number): Tensor {
    return rmsNorm(this.graph, x, this.weight(`${name}.weight`, [sizeAt(x, -1)]), epsilon);
  }

  addThenRmsNorm(
    stream: Tensor,
    x: Tensor,
    name: string,
    epsilon: number,
  ): { stream: Tensor; normed: Tensor } {
    const sum = this.add(stream, x);
    return { stream: sum, normed: this.rmsNorm(sum, name, epsilon) };
  }

  attention(q: Tensor, k: Tensor, v: Tensor, heads: number): Tensor {
    const headSize = sizeAt(q, -1) / heads;
    const shape = { heads, kvHeads: heads, headSize };
    return this.#attend(
      this.#heads(q, heads, headSize),
      this.#heads(k, heads, headSize),
      this.#heads(v, heads, headSize),
      shape,
    );
  }

  causalAttention(q: Tensor, k: Tensor, v: Tensor, _layer: number, shape: AttentionHeads): Tensor {
    const { heads, kvHeads, headSize } = shape;
    const rotatedQ = this.#rotate(this.#heads(q, heads, headSize), headSize);
    const rotatedK = this.#repeat(this.#rotate(this.#heads(k, kvHeads, headSize), headSize), shape);
    const repeatedV = this.#repeat(this.#heads(v, kvHeads, headSize), shape);
    return this.#attend(rotatedQ, rotatedK, repeatedV, shape, this.#causalMask(sizeAt(q, 1), shape.window));
  }

  pickRows(x: Tensor, indices: Tensor): Tensor {
    const rows = elementCount(staticShape(x).slice(0, -1));
    return gatherRows(this.graph, reshape(this.graph, x, [rows, sizeAt(x, -1)]), indices);
  }

  mergeFeatures(embeddings: Tensor, features: Tensor, featureRows: Tensor): Tensor {
    const g = this.graph;
    const none = g.constant("int64", [], BigInt64Array.of(0n));
    const mask = cast(g, greaterOrEqual(g, featureRows, none), this.computeType);
    const isImage = reshape(g, mask, [...featureRows.shape, 1]);
    const isText = add(g, scale(g, isImage, -1), scalarLike(g, isImage, 1));
    const picked = gatherRows(g, features, max(g, featureRows, none));
    return add(g, mul(g, embeddings, isText), mul(g, picked, isImage));
  }

  /** [batch, tokens, heads·headSize] → [batch, heads, tokens, headSize] */
  #heads(x: Tensor, heads: number, headSize: number): Tensor {
    const [batch = 1, tokens = 1] = staticShape(x);
    return transpose(this.graph, reshape(this.graph, x, [batch, tokens, heads, headSize]), [0, 2, 1, 3]);
  }

  /** Softmax(q·kᵀ/√headSize + mask)·v: [batch, heads, tokens, headSize] → [batch, tokens, heads·headSize]. */
  #attend(q: Tensor, k: Tensor, v: Tensor, { heads, headSize }: AttentionHeads, mask?: Tensor): Tensor {
    const g = this.graph;
    const [batch = 1, , tokens = 1] = staticShape(q);
    const scores = matMul(g, q, k, { transposeB: true, alpha: 1 / Math.sqrt(headSize) });
    const weights = softmax(g, mask ? add(g, scores, mask) : scores);
    return reshape(g, transpose(g, matMul(g, weights, v), [0, 2, 1, 3]), [batch, tokens, heads * headSize]);
  }

  /** Each key and value head repeated for the query heads that share it. */
  #repeat(x: Tensor, { heads, kvHeads }: AttentionHeads): Tensor {
    if (heads === kvHeads) return x;
    const [batch = 1, , tokens = 1, headSize = 1] = staticShape(x);
    const separate = reshape(this.graph, x, [batch, kvHeads, 1, tokens, headSize]);
    const repeated = expand(this.graph, separate, [batch, kvHeads, heads / kvHeads, tokens, headSize]);
    return reshape(this.graph, repeated, [batch, heads, tokens, headSize]);
  }

  /** x·cos + rotateHalf(x)·sin, where rotateHalf is a product with a signed permutation: one small MatMul that differentiates by itself. */
  #rotate(x: Tensor, headSize: number): Tensor {
    const g = this.graph;
    const tokens = sizeAt(x, 2);
    const { cos, sin, permutation } = this.#rotaryConstants(tokens, headSize);
    return add(g, mul(g, x, cos), mul(g, matMul(g, x, permutation), sin));
  }

  /** One set of tables for all layers. */
  #rotaryConstants(tokens: number, headSize: number): RotaryConstants {
    const key = `${tokens}x${headSize}`;
    const known = this.#rotary.get(key);
    if (known) return known;
    const g = this.graph;
    const tables = rotaryTables(tokens, headSize, this.#ropeTheta);
    const whole = (half: Float32Array): Tensor => {
      const table = cast(g, g.constant("float32", [tokens, headSize / 2], half), this.computeType);
      return concat(g, [table, table], 1);
    };
    const constants = {
      cos: whole(tables.cos),
      sin: whole(tables.sin),
      permutation: cast(g, rotateHalf(g, headSize), this.computeType),
    };
    this.#rotary.set(key, constants);
    return constants;
  }

  /** [tokens, tokens]: 0 for the `window` positions up to and on the diagonal, MASKED elsewhere; one for all layers. */
  #causalMask(tokens: number, window = tokens): Tensor {
    const key = `${tokens}/${window}`;
    const known = this.#masks.get(key);
    if (known) return known;
    const mask = cast(this.graph, causalMask(this.graph, tokens, window), this.computeType);
    this.#masks.set(key, mask);
    return mask;
  }
}

/** (x₁, x₂) → (−x₂, x₁) over the two halves of a head, as a matrix [headSize, headSize]. */
function rotateHalf(g: Graph, headSize: number): Tensor {
  const half = headSize / 2;
  const matrix = new Float32Array(headSize * headSize);
  for (let j = 0; j < half; j++) {
    matrix[(j + half) * headSize + j] = -1;
    matrix[j * headSize + j + half] = 1;
  }
  return g.constant("float32", [headSize, headSize], matrix);
}

function causalMask(g: Graph, tokens: number, window: number): Tensor {
  const mask = new Float32Array(tokens * tokens).fill(MASKED);
  for (let row = 0; row < tokens; row++) {
    const start = row * tokens;
    mask.fill(0, start + Math.max(0, row + 1 - window), start + row + 1);
  }
  return g.constant("float32", [tokens, tokens], mask);
}
