/** An OcclusionRequest asks how much a word of an answer depends on each part of an image; its answer is a map. */
import type { ImageShapes, Message } from "./generate-request.ts";

/** A stretch of an answer that was given to a conversation. */
export interface AnswerSpan {
  /** The conversation up to the question. */
  readonly messages: readonly Message[];
  /** Key of the template, where it is not the model's own. */
  readonly conversation?: string;
  readonly answer: string;
  /** First character, in UTF-16 code units as JavaScript counts. */
  readonly start: number;
  /** Character behind the last, in UTF-16 code units. */
  readonly end: number;
}

export interface OcclusionRequest extends AnswerSpan {
  /** Encoded files, one for each image of the conversation, in order. */
  readonly images: readonly Uint8Array[];
  readonly shapes?: ImageShapes;
  /** Index of the image that is painted over, from 0. */
  readonly image: number;
  /** Cells of the map, down and across. Default: 8, or near it so that it divides the tower's patches. */
  readonly cells?: number;
}

export interface OcclusionMap {
  /**
   * Row by row: by how many nats the logarithm of the word's probability falls when the cell and its neighbours are painted
   * over; below 0 where that makes the word likelier. Null where the square shows padding.
   */
  readonly values: readonly (readonly (number | null)[])[];
  /** Borders of the cells, of rows and columns alike, from 0 to 1 of the square. */
  readonly edges: readonly number[];
  /** Logarithm of the word's probability when nothing is painted over. */
  readonly logprob: number;
  /** The part of the image that the square shows, in pixels of the upright image; beyond its edges where it was padded. */
  readonly box: {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
  };
  /** Width of the upright image, pixels. */
  readonly width: number;
  /** Height of the upright image, pixels. */
  readonly height: number;
}

export type OcclusionEvent =
  /** Runs of the model. */
  | { readonly type: "progress"; readonly done: number; readonly total: number }
  /** The last event. */
  | { readonly type: "map"; readonly map: OcclusionMap };
