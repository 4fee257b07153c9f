/** Graph builds an ONNX graph: inputs, initializers, nodes in order, outputs, and what is needed to differentiate them. */
import type {
  Attribute,
  ConstantData,
  ExternalData,
  GraphNode,
  GraphOutput,
  GraphParts,
  Initializer,
} from "../tensor/graph-parts.ts";
import { bytesOf, encodeModel } from "../proto/model-proto.ts";
import {
  describe,
  elementCount,
  formatShape,
  GraphError,
  type DType,
  type Shape,
  type Tensor,
} from "../tensor/tensor.ts";

/** The array that holds the elements of a constant; half-precision numbers are their 16 bits. */
const ARRAY_OF = {
  float32: Float32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
} as const satisfies Record<DType, unknown>;

/** Upstream gradients, one for each output (undefined: none reached it) → gradients of the inputs that need one. */
export type Pullback = (
  upstream: readonly (Tensor | undefined)[],
  needs: (input: Tensor) => boolean,
) => readonly (Tensor | undefined)[];

/** One differentiable step of the forward pass, recorded in order. */
export interface TapeEntry {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly pullback: Pullback;
}

/** Element type and shape of one output of a node. */
export interface Spec {
  readonly dtype: DType;
  readonly shape: Shape;
}

export interface NodeOptions {
  /** Default: ONNX's own operator set. */
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /**
   * Listed before all other nodes; for one that reads nothing but initializers. ONNX Runtime walks back from the outputs
   * and takes, of a node's inputs, what is listed last first: so such a node runs just before the one that needs it.
   * Listed where it is needed, all of its kind would run before anything else and their results wait in memory together.
   */
  readonly emitFirst?: boolean;
}

export class Graph implements GraphParts {
  readonly name: string;
  readonly inputs: Tensor[] = [];
  readonly initializers: Initializer[] = [];
  readonly nodes: GraphNode[] = [];
  readonly outputs: GraphOutput[] = [];
  readonly tape: TapeEntry[] = [];
  readonly #names = new Set<string>();
  /** Every tensor of this graph, by identity: one of another graph may have the same name. */
  readonly #tensors = new Set<Tensor>();
  readonly #produced = new Set<Tensor>();
  readonly #smallConstants = new Map<string, Tensor>();
  #counter = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Adds a value that is fed at every run. */
  input(name: string, dtype: DType, shape: Shape): Tensor {
    const tensor = this.#tensor(name, dtype, shape);
    this.inputs.push(tensor);
    return tensor;
  }

  /** Adds data that is part of the model. Small constants with equal content are one initializer. */
  constant(dtype: DType, shape: readonly number[], data: ConstantData): Tensor {
    const expected = ARRAY_OF[dtype];
    if (!(data instanceof expected)) {
      throw new GraphError(
        `A constant of ${dtype} needs a ${expected.name}, got a ${data.constructor.name}.`,
      );
    }
    if (elementCount(shape) !== data.length) {
      const count = elementCount(shape);
      throw new GraphError(
        `A constant of shape ${formatShape(shape)} needs ${count} elements, got ${data.length}.`,
      );
    }
    const key = data.length <= 16 ? `${dtype}[${shape.join()}]${bytesOf(data).join()}` : undefined;
    const known = key === undefined ? undefined : this.#smallConstants.get(key);
    if (known) return known;
    const tensor = this.#tensor(this.#fresh("const"), dtype, shape);
    this.initializers.push({ tensor, content: { data } });
    if (key !== undefined) this.#smallConstants.set(key, tensor);
    return tensor;
  }

  /** A float32 scalar. */
  scalar(value: number): Tensor {
    return this.constant("float32", [], Float32Array.of(value));
  }

  /** An int64 vector, the form in which ONNX takes shapes, axes and indices. */
  ints(values: readonly number[]): Tensor {
    return this.constant("int64", [values.length], BigInt64Array.from(values, BigInt));
  }

  /**
   * A weight whose bytes stay in a file beside the model. An overridable one is also an optional input: ONNX Runtime then
   * takes it for no constant, folds nothing into it and packs no copy of it, so that it stays mapped from its file.
   */
  external(
    name: string,
    dtype: DType,
    shape: readonly number[],
    external: ExternalData,
    { isOverridable = false }: { readonly isOverridable?: boolean } = {},
  ): Tensor {
    const tensor = this.#tensor(name, dtype, shape);
    this.initializers.push({ tensor, content: { external }, isOverridable });
    return tensor;
  }

  /** Appends an operator; the outputs get fresh names. */
  node(
    op: string,
    inputs: readonly (Tensor | null)[],
    specs: readonly Spec[],
    options: NodeOptions = {},
  ): Tensor[] {
    for (const input of inputs) {
      if (input && !this.#tensors.has(input))
        throw new GraphError(`${op} reads ${describe(input)}, which is not of graph ${this.name}.`);
    }
    const outputs = specs.map(({ dtype, shape }) => this.#tensor(this.#fresh(op), dtype, shape));
    for (const output of outputs) this.#produced.add(output);
    const node = {
      op,
      domain: options.domain ?? "",
      inputs: [...inputs],
      outputs,
      attributes: options.attributes ?? {},
    };
    if (options.emitFirst) this.nodes.unshift(node);
    else this.nodes.push(node);
    return outputs;
  }

  /** Appends an operator with one output. */
  apply(op: string, inputs: readonly (Tensor | null)[], spec: Spec, options: NodeOptions = {}): Tensor {
    const [output] = this.node(op, inputs, [spec], options);
    if (!output) throw new GraphError(`${op} made no output.`);
    return output;
  }

  /** Records how gradients are pulled back through the nodes that were just appended. */
  record(inputs: readonly Tensor[], outputs: readonly Tensor[], pullback: Pullback): void {
    this.tape.push({ inputs, outputs, pullback });
  }

  /** Names a tensor as a result of the graph. */
  output(name: string, tensor: Tensor): void {
    if (this.outputs.some((output) => output.name === name))
      throw new GraphError(`Output ${name} is there twice.`);
    const renameable = this.#produced.has(tensor) && !this.outputs.some((output) => output.tensor === tensor);
    this.outputs.push({
      name: this.#claim(name),
      tensor: renameable ? tensor : this.apply("Identity", [tensor], tensor),
    });
  }

  /** The serialized ModelProto. */
  toBytes(): Uint8Array {
    return encodeModel(this);
  }

  #tensor(name: string, dtype: DType, shape: Shape): Tensor {
    requireExtents(name, shape);
    const tensor = { name: this.#claim(name), dtype, shape: [...shape] };
    this.#tensors.add(tensor);
    return tensor;
  }

  #fresh(prefix: string): string {
    this.#counter += 1;
    return `${prefix}_${this.#counter}`;
  }

  #claim(name: string): string {
    if (this.#names.has(name)) throw new GraphError(`The name ${name} is taken in graph ${this.name}.`);
    this.#names.add(name);
    return name;
  }
}

function requireExtents(name: string, shape: Shape): void {
  const wrong = shape.find((dim) => typeof dim === "number" && !(Number.isSafeInteger(dim) && dim >= 0));
  if (wrong === undefined) return;
  throw new GraphError(`${name} cannot have the shape ${formatShape(shape)}: ${wrong} is no extent.`);
}
