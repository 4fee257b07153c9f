/** Describes the events of a relayed request that are measured. */
import type { ErrorCode } from "@llava/protocol";
import type { Worker } from "../registry/registry.ts";
import type { Frame } from "./relayed-frame.ts";

/** How a relayed request ended: `refused` is an error status of its worker, else it is `ok` or the code of an error. */
export type RelayOutcome = ErrorCode | "ok" | "refused";

/** Takes the events of one relayed request. */
export interface RelayMeasurement {
  /** A worker is asked; a second call means that the one before did not answer, or broke off. */
  readonly asked: (worker: Worker) => void;
  /** The worker that was asked last goes on with an answer that broke off. */
  readonly moved: (lost: Worker, to: Worker, code: ErrorCode) => void;
  /** A frame goes to the client. */
  readonly frame: (frame: Frame) => void;
  /** The request has ended. It is called exactly once. */
  readonly ended: (outcome: RelayOutcome) => void;
}
