/**
 * The names, units and buckets of what a worker counts and times: ours, and vLLM's where it measures the same, so that
 * routers and dashboards made for it work with us (GAIE, llm-d, production-stack).
 */
import { BUCKETS, type Metrics, type Sample } from "@llava/server";
import type { FinishReason } from "@llava/backend";
import type { ErrorCode } from "@llava/protocol";

/** How busy a worker is. */
export interface Occupation {
  readonly running: number;
  readonly waiting: number;
  readonly slots: number;
  /** Share of all slots' positions that are in use, from 0 to 1. */
  readonly cacheUse: number;
}

/** How a request can end. */
export type Outcome = FinishReason | ErrorCode;

export interface Instruments {
  readonly count: (name: CountName, number: number) => void;
  /** Seconds, or tokens. */
  readonly observe: (name: DistributionName, value: number) => void;
  readonly finished: (outcome: Outcome) => void;
}

interface Entry {
  /** Our name, behind `llava_`. */
  readonly name: string;
  readonly help: string;
  /** vLLM's name, behind `vllm:`; absent where it measures nothing alike. */
  readonly alias?: string;
}

interface Cut {
  readonly buckets: readonly number[];
}

const COUNTS = {
  images: { name: "images_total", help: "Images of requests that were let in." },
  promptTokens: {
    name: "prompt_tokens_total",
    help: "Tokens of answered prompts, images included.",
    alias: "prompt_tokens_total",
  },
  imageTokens: { name: "image_tokens_total", help: "Tokens of answered prompts that are images." },
  cachedTokens: {
    name: "cached_prompt_tokens_total",
    help: "Tokens of answered prompts that the cache had already.",
    alias: "prefix_cache_hits_total",
  },
  generationTokens: {
    name: "generation_tokens_total",
    help: "Tokens of answers, also of those that were stopped.",
    alias: "generation_tokens_total",
  },
} as const satisfies Record<string, Entry>;
type CountName = keyof typeof COUNTS;

const DISTRIBUTIONS = {
  promptLength: {
    name: "request_prompt_tokens",
    help: "Tokens of an answered prompt, images included.",
    buckets: BUCKETS.tokens,
    alias: "request_prompt_tokens",
  },
  generationLength: {
    name: "request_generation_tokens",
    help: "Tokens of a whole answer.",
    buckets: BUCKETS.tokens,
    alias: "request_generation_tokens",
  },
  firstToken: {
    name: "time_to_first_token_seconds",
    help: "From a request's arrival to its first words; not taken of answers that another worker began.",
    buckets: BUCKETS.firstToken,
    alias: "time_to_first_token_seconds",
  },
  betweenTokens: {
    name: "inter_token_latency_seconds",
    help: "Between two tokens; a client that reads slowly makes it longer.",
    buckets: BUCKETS.betweenTokens,
    alias: "inter_token_latency_seconds",
  },
  endToEnd: {
    name: "e2e_request_latency_seconds",
    help: "From a request's arrival to its end, however it ended.",
    buckets: BUCKETS.request,
    alias: "e2e_request_latency_seconds",
  },
  queueTime: {
    name: "request_queue_time_seconds",
    help: "From an answered request's arrival to its first step in the model; decoding its images is part of it.",
    buckets: BUCKETS.request,
    alias: "request_queue_time_seconds",
  },
  inferenceTime: {
    name: "request_inference_time_seconds",
    help: "From an answered request's first step in the model to its last.",
    buckets: BUCKETS.request,
    alias: "request_inference_time_seconds",
  },
  prefillTime: {
    name: "request_prefill_time_seconds",
    help: "To compute an answered prompt, up to the first token.",
    buckets: BUCKETS.request,
    alias: "request_prefill_time_seconds",
  },
  decodeTime: {
    name: "request_decode_time_seconds",
    help: "From the first token of an answer to its last.",
    buckets: BUCKETS.request,
    alias: "request_decode_time_seconds",
  },
  imageDecodeTime: {
    name: "image_decode_seconds",
    help: "To make pixels of a request's image files, the wait for its turn included.",
    buckets: BUCKETS.firstToken,
  },
  imageEncodeTime: {
    name: "image_encode_seconds",
    help: "To put a request's images through the vision encoder.",
    buckets: BUCKETS.firstToken,
  },
} as const satisfies Record<string, Entry & Cut>;
type DistributionName = keyof typeof DISTRIBUTIONS;

/** The labels of our metrics and of vLLM's, whose second one counts the engines of a server. */
interface Labels {
  readonly ours: Readonly<Record<string, string>>;
  readonly theirs: Readonly<Record<string, string>>;
}

type Write = (value: number) => void;

/**
 * @param modelName our own, never a request's
 * @param occupation null while there is no model
 */
export function createInstruments(
  metrics: Metrics,
  modelName: string,
  occupation: () => Occupation | null,
): Instruments {
  const ours = { model_name: modelName };
  const labels: Labels = { ours, theirs: { ...ours, engine: "0" } };
  const counts = new Map<string, Write>();
  for (const [key, entry] of Object.entries<Entry>(COUNTS)) {
    const writers = eachName(entry, labels).map(({ name, labels: own }): Write => {
      const counter = metrics.counter(name, entry.help, Object.keys(own));
      return (value) => counter.add(value, own);
    });
    counts.set(key, toAll(writers));
  }
  const distributions = new Map<string, Write>();
  for (const [key, entry] of Object.entries<Entry & Cut>(DISTRIBUTIONS)) {
    const writers = eachName(entry, labels).map(({ name, labels: own }): Write => {
      const histogram = metrics.histogram(name, entry.help, entry.buckets, Object.keys(own));
      return (value) => histogram.observe(value, own);
    });
    distributions.set(key, toAll(writers));
  }
  addOccupation(metrics, labels, occupation);
  return {
    count: (name, number) => counts.get(name)?.(number),
    observe: (name, value) => distributions.get(name)?.(value),
    finished: createEndings(metrics, labels),
  };
}

function toAll(writers: readonly Write[]): Write {
  return (value) => {
    for (const write of writers) write(value);
  };
}

/** The names under which an entry is shown. */
function eachName(
  { name, alias }: Entry,
  { ours, theirs }: Labels,
): readonly { readonly name: string; readonly labels: Readonly<Record<string, string>> }[] {
  const own = { name: `llava_${name}`, labels: ours };
  return alias === undefined ? [own] : [own, { name: `vllm:${alias}`, labels: theirs }];
}

function addOccupation({ gauge }: Metrics, labels: Labels, read: () => Occupation | null): void {
  const show = (entry: Entry, valueOf: (occupation: Occupation) => number): void => {
    for (const { name, labels: own } of eachName(entry, labels)) {
      const sample = (): readonly Sample[] => {
        const occupation = read();
        return occupation === null ? [] : [{ value: valueOf(occupation), labels: own }];
      };
      gauge(name, entry.help, sample, Object.keys(own));
    }
  };
  const running = {
    name: "requests_running",
    help: "Requests that the model works on.",
    alias: "num_requests_running",
  };
  const waiting = {
    name: "requests_waiting",
    help: "Requests that wait for it.",
    alias: "num_requests_waiting",
  };
  const slots = { name: "slots", help: "Requests that the model can work on at once." };
  const cache = {
    name: "kv_cache_usage_ratio",
    help: "Share of all slots' positions that are in use, from 0 to 1.",
    alias: "kv_cache_usage_perc",
  };
  show(running, (occupation) => occupation.running);
  show(waiting, (occupation) => occupation.waiting);
  show(slots, (occupation) => occupation.slots);
  show(cache, (occupation) => occupation.cacheUse);
}

function createEndings({ counter }: Metrics, { ours, theirs }: Labels): (outcome: Outcome) => void {
  const finished = counter(
    "llava_requests_finished_total",
    "Requests that ended: stop and length are whole answers, all else is the code of an error.",
    [...Object.keys(ours), "outcome"],
  );
  const success = counter("vllm:request_success_total", "Requests that ended, in vLLM's words.", [
    ...Object.keys(theirs),
    "finished_reason",
  ]);
  return (outcome) => {
    finished.add(1, { ...ours, outcome });
    success.add(1, { ...theirs, finished_reason: vllmReason(outcome) });
  };
}

/** vLLM knows four ways to end. */
function vllmReason(outcome: Outcome): "stop" | "length" | "abort" | "error" {
  if (outcome === "stop" || outcome === "length") return outcome;
  return outcome === "cancelled" || outcome === "shutting_down" ? "abort" : "error";
}
