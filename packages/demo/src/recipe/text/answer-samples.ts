/** Writes dialogues as rows of a batch, with the places of the image's features and of the answers to learn. */
import type { BytePairEncoder } from "./bpe.ts";
import type { Batch } from "@llava/training";
import { dialogue, type DialogueOptions, type Turn } from "./dialogue.ts";
import { PATCHES } from "../vision/patch-labels.ts";
import { MASKED_LOGIT } from "../vision/patch-objective.ts";
import { questionFor, type Random, type Scene, type Split } from "../../scenes/index.ts";
import { textOnlyDialogue } from "./text-only-dialogue.ts";
import { type EncodedDialogue, encodeDialogue, prefixIds } from "./tokens.ts";
import { BOS, IMAGE } from "./demo-tokenizer.ts";

/** Number of ids of a dialogue after its image. */
const TEXT_BUDGET = 112;
/** Number of ids before the image: <s>, USER: and a space. */
const PREFIX = 3;
/** Number of positions in a row with an image. */
export const IMAGE_ROW = PREFIX + PATCHES + TEXT_BUDGET;

export interface Sample {
  readonly turns: readonly Turn[];
  readonly encoded: EncodedDialogue;
  /** Ids of the whole row. */
  readonly ids: readonly number[];
  /** Position in the row at which the encoded dialogue starts. */
  readonly offset: number;
  readonly hasImage: boolean;
}

/** A scene and the dialogue about it. */
export interface Example {
  readonly scene: Scene;
  readonly sample: Sample;
}

/** The row [<s> USER: _ image dialogue]. */
export function imageSample(encoder: BytePairEncoder, turns: readonly Turn[]): Sample {
  const encoded = encodeDialogue(encoder, turns, TEXT_BUDGET);
  const image = Array.from({ length: PATCHES }, () => encoder.special(IMAGE));
  return {
    turns,
    encoded,
    ids: [...prefixIds(encoder), ...image, ...encoded.inputIds],
    offset: PREFIX + PATCHES,
    hasImage: true,
  };
}

/** The row [<s> dialogue], of `positions` ids. */
export function textSample(encoder: BytePairEncoder, turns: readonly Turn[], positions: number): Sample {
  const encoded = encodeDialogue(encoder, turns, positions - 1, false);
  return { turns, encoded, ids: [encoder.special(BOS), ...encoded.inputIds], offset: 1, hasImage: false };
}

/** One turn that describes the scene: the samples that the projector is aligned on. */
export function captionTurns(scene: Scene, random: Random): Turn[] {
  const kind = scene.objects.length === 0 ? "nothing" : "describe";
  const question = questionFor(scene, kind, random);
  return question
    ? [{ kind, question: question.text, short: question.short, answer: question.sentence, masked: [] }]
    : [];
}

export function questionTurns(
  scene: Scene,
  random: Random,
  split: Split,
  options: DialogueOptions = {},
): Turn[] {
  return dialogue(scene, random, { maxTurns: 14, ...options, split });
}

export function textOnlyTurns(scene: Scene, random: Random, options: DialogueOptions = {}): Turn[] {
  return textOnlyDialogue(scene, random, { maxTurns: 14, ...options });
}

/** The place of one supervised label. */
export interface Supervised {
  /** Number of the sample in its batch. */
  readonly sample: number;
  /** Number of the label in the sample's encoded dialogue. */
  readonly label: number;
}

/**
 * Writes samples into the arrays of a batch: input_ids and feature_rows [samples, positions], and logit_rows, labels and
 * weights [pool] of the supervised labels. Labels beyond the size of the pool are left out, unused places get the weight
 * 0. Returns the labels in the pool, in order.
 */
export function writeSamples(samples: readonly Sample[], positions: number, batch: Batch): Supervised[] {
  const ids = longs(batch, "input_ids");
  const rows = batch["feature_rows"];
  samples.forEach((sample, i) => {
    sample.ids.forEach((id, position) => (ids[i * positions + position] = BigInt(id)));
    if (rows instanceof BigInt64Array) writeFeatureRows(rows, sample, i, positions);
  });
  return poolSupervised(samples, positions, batch);
}

function writeFeatureRows(rows: BigInt64Array, sample: Sample, index: number, positions: number): void {
  rows.fill(-1n, index * positions, (index + 1) * positions);
  if (!sample.hasImage) return;
  for (let patch = 0; patch < PATCHES; patch++)
    rows[index * positions + PREFIX + patch] = BigInt(index * PATCHES + patch);
}

function poolSupervised(samples: readonly Sample[], positions: number, batch: Batch): Supervised[] {
  const logitRows = longs(batch, "logit_rows");
  const labels = longs(batch, "labels");
  const weights = batch["weights"];
  if (!(weights instanceof Float32Array)) throw new Error("The batch has no float32 input weights.");
  const pooled = samples
    .flatMap(({ encoded }, sample) =>
      Array.from(encoded.weights, (weight, label) => ({ weight, sample, label })),
    )
    .filter(({ weight }) => weight > 0)
    .slice(0, weights.length);
  logitRows.fill(0n);
  labels.fill(0n);
  weights.fill(0);
  pooled.forEach(({ sample, label }, i) => {
    const { encoded, offset } = samples[sample] ?? { encoded: undefined, offset: 0 };
    logitRows[i] = BigInt(sample * positions + offset + label);
    labels[i] = BigInt(encoded?.labels[label] ?? 0);
    weights[i] = 1 / pooled.length;
  });
  writeMask(samples, pooled, batch);
  return pooled;
}

/** Writes logit_mask [pool, vocabulary], in a batch that has it: it masks the words that a label must not be learned against. */
function writeMask(samples: readonly Sample[], pooled: readonly Supervised[], batch: Batch): void {
  const mask = batch["logit_mask"];
  const labels = longs(batch, "labels");
  if (!(mask instanceof Float32Array)) return;
  const vocabulary = mask.length / labels.length;
  mask.fill(0);
  pooled.forEach(({ sample, label }, i) => {
    const answer = samples[sample]?.encoded.answers.find(({ from, to }) => from <= label && label < to);
    for (const id of answer?.masked ?? [])
      if (BigInt(id) !== labels[i]) mask[i * vocabulary + id] = MASKED_LOGIT;
  });
}

function longs(batch: Batch, name: string): BigInt64Array {
  const array = batch[name];
  if (array instanceof BigInt64Array) return array;
  throw new Error(`The batch has no int64 input ${name}.`);
}
