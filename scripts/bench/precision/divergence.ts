/** How far distributions over tokens are apart, and the table that says so. */
import type { Machine } from "../results/bench-results.ts";

export interface Divergence {
  /** Kullback-Leibler divergence from float32's distribution, nats a token. */
  readonly mean: number;
  /** Exceeded by one position in a hundred. */
  readonly p99: number;
  /** Share of positions where the likeliest token is float32's. */
  readonly top1: number;
  readonly positions: number;
}

export interface PrecisionRow {
  readonly precision: string;
  readonly demo: Divergence;
  /** By the name of the model. */
  readonly random: Readonly<Record<string, Divergence>>;
  /** Right answers to the demo's questions. */
  readonly right: number;
  readonly asked: number;
}

/** Logits [positions, vocabulary] of each sample, as they should be and as they are. */
export function compare(
  expected: readonly Float32Array[],
  found: readonly Float32Array[],
  vocabulary: number,
): Divergence {
  const all: number[] = [];
  let agreed = 0;
  for (const [sample, logits] of expected.entries()) {
    for (let from = 0; from < logits.length; from += vocabulary) {
      const p = logSoftmax(logits.subarray(from, from + vocabulary));
      const q = logSoftmax((found[sample] ?? logits).subarray(from, from + vocabulary));
      all.push(p.reduce((sum, log, i) => sum + Math.exp(log) * (log - (q[i] ?? 0)), 0));
      agreed += Number(likeliest(p) === likeliest(q));
    }
  }
  all.sort((a, b) => a - b);
  return {
    mean: all.reduce((a, b) => a + b, 0) / all.length,
    p99: all[Math.floor(all.length * 0.99)] ?? 0,
    top1: agreed / all.length,
    positions: all.length,
  };
}

export function precisionTable(rows: readonly PrecisionRow[], { cpu, date }: Machine): string {
  const models = Object.keys(rows[0]?.random ?? {});
  const heading = [
    "weights",
    "demo: right",
    "KL",
    "KL p99",
    "top-1",
    ...models.flatMap((name) => [`${name}: KL`, "top-1"]),
  ];
  const lines = rows.map(({ precision, demo, random, right, asked }) => [
    precision,
    `${percent(right / asked)} of ${asked}`,
    nats(demo.mean),
    nats(demo.p99),
    percent(demo.top1),
    ...models.flatMap((name) => {
      const of = random[name];
      return of ? [nats(of.mean), percent(of.top1)] : ["", ""];
    }),
  ]);
  const table = [heading, heading.map(() => "---"), ...lines]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
  const positions = rows[0]?.demo.positions ?? 0;
  return `# What each precision of the weights costs

${table}

KL: Kullback-Leibler divergence from float32, nats a token, over ${positions} tokens of known answers about images (demo)
and random words (random models of 64 numbers a token: one block a row, and no training that made them robust); top-1: how often
the likeliest token is the same. int4 and int8 are blocks of 64, the head always 8 bits with blocks of 32; activations are
int8 in both. Written by scripts/bench/precision/bench-precision.ts on ${date.slice(0, 10)}, ${cpu}.
`;
}

function logSoftmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return Float64Array.from(logits, (logit) => logit - largest - Math.log(sum));
}

function likeliest(values: Float64Array): number {
  return values.reduce((best, value, i) => (value > (values[best] ?? -Infinity) ? i : best), 0);
}

function nats(value: number): string {
  return value < 5e-7 ? "0" : value.toPrecision(2);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
