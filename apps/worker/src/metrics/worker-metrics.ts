/** Measures a worker's requests: one small object follows each from its arrival to its end. */
import { createMetrics, type Metrics } from "@llava/server";
import type { GenerateEvent, GenerateRequest } from "@llava/backend";
import { createInstruments, type Instruments, type Occupation, type Outcome } from "./instruments.ts";
import { createRate, type Rate } from "./rate.ts";

/** One request on its way. */
export interface Measured {
  /** The request is admitted. */
  readonly admitted: () => void;
  readonly event: (event: GenerateEvent) => void;
  /** Called exactly once, also when the client has left and its events are not read any more. */
  readonly end: () => void;
}

export interface WorkerMetrics {
  readonly metrics: Metrics;
  readonly begin: (request: GenerateRequest) => Measured;
  /** Tokens of all answers together, mean of the last ten seconds. */
  readonly tokensPerSecond: () => number;
}

/** @param occupation null while the model is being loaded */
export function createWorkerMetrics(modelName: string, occupation: () => Occupation | null): WorkerMetrics {
  const metrics = createMetrics();
  const instruments = createInstruments(metrics, modelName, occupation);
  const rate = createRate(performance.now.bind(performance));
  return {
    metrics,
    begin: (request) => measure(request, instruments, rate),
    tokensPerSecond: rate.perSecond,
  };
}

function measure(request: GenerateRequest, instruments: Instruments, rate: Rate): Measured {
  const arrivedMs = performance.now();
  let lastTokenMs: number | null = null;
  /** The outcome of a request whose client leaves before its end. */
  let outcome: Outcome = "cancelled";
  let numTokens = 0;

  const count = (number: number): void => {
    numTokens += number;
    rate.add(number);
    instruments.count("generationTokens", number);
  };
  const text = (number: number): void => {
    const now = performance.now();
    if (lastTokenMs !== null) {
      const apartS = (now - lastTokenMs) / 1000 / Math.max(1, number);
      for (let token = 0; token < number; token += 1) instruments.observe("betweenTokens", apartS);
    } else if (request.resume === undefined) instruments.observe("firstToken", (now - arrivedMs) / 1000);
    lastTokenMs = now;
    count(number);
  };
  const finish = ({ usage, timings }: Extract<GenerateEvent, { type: "finished" }>): void => {
    const own = usage.completionTokens - (request.resume?.tokens.length ?? 0);
    // The last token may have had no text.
    count(Math.max(0, own - numTokens));
    instruments.count("promptTokens", usage.promptTokens);
    instruments.count("imageTokens", usage.imageTokens);
    instruments.count("cachedTokens", usage.cachedTokens);
    instruments.observe("promptLength", usage.promptTokens);
    instruments.observe("generationLength", usage.completionTokens);
    instruments.observe("queueTime", timings.queueMs / 1000);
    instruments.observe("prefillTime", timings.prefillMs / 1000);
    instruments.observe("decodeTime", timings.decodeMs / 1000);
    instruments.observe("inferenceTime", (timings.encodeMs + timings.prefillMs + timings.decodeMs) / 1000);
    if (request.images.length === 0) return;
    instruments.observe("imageEncodeTime", timings.encodeMs / 1000);
    if (timings.imagesMs !== undefined) instruments.observe("imageDecodeTime", timings.imagesMs / 1000);
  };

  return {
    admitted: () => {
      instruments.count("images", request.images.length);
    },
    event: (event) => {
      if (event.type === "text-delta") return text(event.tokens.length);
      outcome = event.type === "finished" ? event.reason : event.error.code;
      if (event.type === "finished") finish(event);
    },
    end: () => {
      instruments.observe("endToEnd", (performance.now() - arrivedMs) / 1000);
      instruments.finished(outcome);
    },
  };
}
