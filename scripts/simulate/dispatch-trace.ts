/** Makes the requests for the simulation of dispatch: reads them from a file, or draws them from a seed. */
import { seeded } from "../support/seeded-random.ts";
import { refuse } from "../support/script-flags.ts";

/** One request. A file has one JSON object a line, in any order. */
export interface TraceRequest {
  /** When it comes, in milliseconds from the start. */
  readonly at_ms: number;
  /** A name that all requests of one conversation share. */
  readonly conversation: string;
  /** The names of its images; the same name is the same image. */
  readonly images: readonly string[];
  /** The tokens of the answer. */
  readonly new_tokens: number;
}

export interface TraceOptions {
  readonly seed: number;
  readonly conversations: number;
  /** The conversations that begin in a second, on average. */
  readonly rate: number;
}

const MAX_REQUESTS = 1_000_000;
/** The chance that a conversation goes on after a question, which makes five questions on average. */
const GOES_ON = 0.8;
const MEAN_THINKING_MS = 8_000;
/** The share of conversations about an image that others share. */
const SHARED_SHARE = 0.2;
const SHARED_IMAGES = 8;
const NEW_TOKENS = { least: 10, mean: 60, most: 400 } as const;

/** Conversations that begin at random times (a Poisson process), each with one image and several questions about it. */
export function drawTrace({ seed, conversations, rate }: TraceOptions): readonly TraceRequest[] {
  const random = seeded(seed);
  const draw = (mean: number): number => -mean * Math.log(1 - random());
  const requests: TraceRequest[] = [];
  let startMs = 0;
  for (let index = 0; index < conversations; index += 1) {
    startMs += draw(1000 / rate);
    const isShared = random() < SHARED_SHARE;
    const image = isShared ? `shared-${Math.floor(random() * SHARED_IMAGES)}` : `own-${index}`;
    let at_ms = startMs;
    do {
      const tokens = Math.round(draw(NEW_TOKENS.mean));
      const new_tokens = Math.min(NEW_TOKENS.most, Math.max(NEW_TOKENS.least, tokens));
      requests.push({ at_ms: Math.round(at_ms), conversation: `c${index}`, images: [image], new_tokens });
      at_ms += draw(MEAN_THINKING_MS);
    } while (random() < GOES_ON);
  }
  return inOrder(requests);
}

/** Reads a file's text. Ends the process at the first line that is wrong. */
export function parseTrace(text: string): readonly TraceRequest[] {
  const lines = text.split("\n");
  const requests = lines.flatMap((line, index) => (line.trim() === "" ? [] : [parseLine(line, index + 1)]));
  if (requests.length > MAX_REQUESTS)
    refuse(`The trace has ${requests.length} requests; at most ${MAX_REQUESTS} fit.`);
  return inOrder(requests);
}

export function formatTrace(requests: readonly TraceRequest[]): string {
  return requests.map((request) => `${JSON.stringify(request)}\n`).join("");
}

function inOrder(requests: readonly TraceRequest[]): readonly TraceRequest[] {
  return requests.toSorted((one, other) => one.at_ms - other.at_ms);
}

function parseLine(line: string, number: number): TraceRequest {
  const value = jsonOf(line);
  if (isTraceRequest(value)) return value;
  return refuse(
    `Line ${number} of the trace is no request such as ` +
      `{"at_ms":0,"conversation":"c1","images":["p1"],"new_tokens":40}: ${line.slice(0, 80)}`,
  );
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

function isTraceRequest(value: unknown): value is TraceRequest {
  if (typeof value !== "object" || value === null) return false;
  const { at_ms, conversation, images, new_tokens } = value as Partial<Record<keyof TraceRequest, unknown>>;
  const isNumber = (field: unknown): boolean =>
    typeof field === "number" && field >= 0 && Number.isFinite(field);
  const isText = (field: unknown): boolean => typeof field === "string";
  return (
    isNumber(at_ms) &&
    isNumber(new_tokens) &&
    isText(conversation) &&
    Array.isArray(images) &&
    images.every(isText)
  );
}
