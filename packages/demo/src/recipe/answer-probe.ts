/** Measures how many test answers the weights of a run give exactly, by kind of question. */
import type { Graph, Tensor } from "@llava/onnx";
import { type Batch, ForwardPass, type TrainingState } from "@llava/training";
import type { Example, Supervised } from "./text/answer-samples.ts";

export interface AnswerProbeOptions {
  readonly graph: Graph;
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Float32 [pool, vocabulary]. */
  readonly logits: Tensor;
  /** Number of samples in a batch. */
  readonly samples: number;
  /** The test example with a number. */
  readonly example: (index: number) => Example;
  /** Writes a batch; returns the supervised labels that it has, in order. */
  readonly write: (examples: readonly Example[], batch: Batch) => readonly Supervised[];
}

const PROBE_SAMPLES = 192;

interface Tally {
  readonly right: number;
  readonly all: number;
}

/** Share of test answers whose every token is the most likely one after the true tokens before it, by kind. */
export async function exactAnswers(state: TrainingState, options: AnswerProbeOptions): Promise<string> {
  const { graph, parameters, logits, samples, example, write } = options;
  const pool = Number(logits.shape[0]);
  const attributes = { axis: { int: -1 }, keepdims: { int: 0 } };
  const likeliest = graph.apply("ArgMax", [logits], { dtype: "int64", shape: [pool] }, { attributes });
  graph.output("likeliest", likeliest);
  using pass = await ForwardPass.compile(graph, parameters, state);
  const labels = new BigInt64Array(pool);
  const tallies = new Map<string, Tally>();
  for (let first = 0; first < PROBE_SAMPLES; first += samples) {
    const examples = Array.from({ length: samples }, (_, i) => example(first + i));
    const pooled = write(examples, { ...pass.batch, labels, weights: new Float32Array(pool) });
    const outputs = await pass.run();
    const wrong = pooled.filter((_, i) => outputs["likeliest"]?.[i] !== Number(labels[i]));
    count(examples, pooled, wrong, tallies);
  }
  return summary(tallies);
}

/** Adds the answers that were pooled whole to the tallies of their kinds. */
function count(
  examples: readonly Example[],
  pooled: readonly Supervised[],
  wrong: readonly Supervised[],
  tallies: Map<string, Tally>,
): void {
  const wrongLabels = new Set(wrong.map(({ sample, label }) => `${sample}:${label}`));
  const last = pooled.at(-1);
  examples.forEach(({ sample: { turns, encoded } }, sample) =>
    encoded.answers.forEach(({ from, to }, turn) => {
      const isPooled = last && (sample < last.sample || (sample === last.sample && to - 1 <= last.label));
      if (!isPooled) return;
      const kind = turns[turn]?.kind ?? "";
      const { right, all } = tallies.get(kind) ?? { right: 0, all: 0 };
      const keys = Array.from({ length: to - from }, (_, i) => `${sample}:${from + i}`);
      const isRight = keys.every((key) => !wrongLabels.has(key));
      tallies.set(kind, { right: right + Number(isRight), all: all + 1 });
    }),
  );
}

function summary(tallies: ReadonlyMap<string, Tally>): string {
  const right = [...tallies.values()].reduce((sum, tally) => sum + tally.right, 0);
  const all = [...tallies.values()].reduce((sum, tally) => sum + tally.all, 0);
  const kinds = [...tallies]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([kind, tally]) => `${kind} ${((100 * tally.right) / tally.all).toFixed(0)}`);
  return `all ${((100 * right) / all).toFixed(1)} of ${all}  ${kinds.join("  ")}`;
}
