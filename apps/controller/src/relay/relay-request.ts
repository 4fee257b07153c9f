/** Describes a request that is relayed, and the limits under which all of them are. */
import type { Framing } from "@llava/protocol";
import type { RelayMeasurement } from "./relay-measurement.ts";
import type { RequestKeys } from "../registry/dispatch.ts";

export interface RelayRequest {
  readonly model: string;
  /** The path on the worker. */
  readonly path: string;
  readonly body: Buffer;
  /** The headers that the worker gets. */
  readonly headers: Readonly<Record<string, string>>;
  readonly framing: Framing;
  /** Whether a stream is asked for. */
  readonly isStream: boolean;
  readonly measured: RelayMeasurement;
  /** What a worker is chosen by. */
  readonly keys: RequestKeys;
  /** The keys of the images that the body refers to, which a worker must have before it can answer. */
  readonly referredKeys: readonly string[];
}

export interface RelayLimits {
  /** The longest pause, in milliseconds, in a stream of a worker that sends something at least every 10 s, as ours do. */
  readonly idleMs: number;
  /** The longest time of one answer in milliseconds, however much it sends. */
  readonly totalMs: number;
  /** How many milliseconds a client may read nothing of its answer. */
  readonly readerStallMs: number;
  /** The bytes of all bodies together. */
  readonly bodiesBytes: number;
}

export const RELAY_LIMITS: RelayLimits = {
  idleMs: 30_000,
  // The longest answer of a 7B model on a small machine's CPU takes some eight minutes.
  totalMs: 900_000,
  readerStallMs: 60_000,
  // Sixteen of the largest bodies, or some five hundred with one image of 1 MB each.
  bodiesBytes: 512 << 20,
};
