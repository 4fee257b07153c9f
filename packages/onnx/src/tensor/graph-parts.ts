/** Declares what a graph consists of: nodes, initializers and outputs, as the serializer reads them. */
import type { Tensor } from "./tensor.ts";

export type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] };

export interface GraphNode {
  readonly op: string;
  /** "" is ONNX's own operator set, "com.microsoft" ONNX Runtime's. */
  readonly domain: string;
  /** null leaves an optional input out. */
  readonly inputs: readonly (Tensor | null)[];
  readonly outputs: readonly Tensor[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export type ConstantData = Float32Array | BigInt64Array | Int32Array | Uint8Array | Int8Array | Uint16Array;

/** Bytes of an initializer that stay in a file: weights are served from the checkpoint itself. */
export interface ExternalData {
  /** File name relative to the folder that the session is given. */
  readonly location: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly length: number;
}

export interface Initializer {
  readonly tensor: Tensor;
  /** Whether nothing may be computed from it when the graph is loaded; see `Graph.external`. */
  readonly isOverridable?: boolean;
  readonly content: { readonly data: ConstantData } | { readonly external: ExternalData };
}

export interface GraphOutput {
  readonly name: string;
  readonly tensor: Tensor;
}

/** A whole graph; its nodes are in an order in which they can be computed. */
export interface GraphParts {
  readonly name: string;
  readonly inputs: readonly Tensor[];
  readonly initializers: readonly Initializer[];
  readonly nodes: readonly GraphNode[];
  readonly outputs: readonly GraphOutput[];
}
