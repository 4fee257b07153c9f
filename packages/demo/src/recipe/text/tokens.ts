/** Encodes dialogues as training sequences: ids, the ids to predict and their weights. */
import type { BytePairEncoder } from "./bpe.ts";
import type { Turn } from "./dialogue.ts";
import { ASSISTANT, BOS, EOS, PAD, USER } from "./demo-tokenizer.ts";

export interface EncodedDialogue {
  /** Ids [budget] of the text after the image, from the newline on, filled up with <pad>. */
  readonly inputIds: Int32Array;
  /** Ids [budget] that follow each input id. */
  readonly labels: Int32Array;
  /** Weights [budget]: 1 where the label belongs to an answer or is the </s> after it, else 0. */
  readonly weights: Float32Array;
  /** Number of input ids that are not padding. */
  readonly length: number;
  /** Places of the answers, one for each turn that fits into the budget. */
  readonly answers: readonly EncodedAnswer[];
}

/** The labels from `from` up to `to` − 1, of which the last is </s>. */
interface EncodedAnswer {
  readonly from: number;
  readonly to: number;
  /** Ids of the turn's masked words. */
  readonly masked: readonly number[];
}

/** The ids before the image: <s>, USER: and a space. */
export function prefixIds(encoder: BytePairEncoder): number[] {
  return [encoder.special(BOS), encoder.special(USER), ...encoder.encode(" ")];
}

/**
 * Encodes as many turns from the first as fit whole into `budget` ids. The first turn follows an image and its newline or,
 * in a dialogue without an image, <s>.
 */
export function encodeDialogue(
  encoder: BytePairEncoder,
  turns: readonly Turn[],
  budget: number,
  isAfterImage = true,
): EncodedDialogue {
  const ids: number[] = [];
  const answers: EncodedAnswer[] = [];
  for (const { question, answer, masked: words } of turns) {
    const asked = askedIds(encoder, question, isAfterImage && answers.length === 0);
    const answered = [...encoder.encode(` ${answer}`), encoder.special(EOS)];
    if (ids.length + asked.length + answered.length > budget) break;
    ids.push(...asked);
    const masked = words.flatMap((word) => encoder.encode(` ${word}`));
    answers.push({ from: ids.length - 1, to: ids.length - 1 + answered.length, masked });
    ids.push(...answered);
  }
  const pad = encoder.special(PAD);
  const inputIds = new Int32Array(budget).fill(pad);
  inputIds.set(ids);
  const labels = new Int32Array(budget).fill(pad);
  labels.set(ids.slice(1));
  const weights = new Float32Array(budget);
  for (const { from, to } of answers) weights.fill(1, from, to);
  return { inputIds, labels, weights, length: ids.length, answers };
}

/** A question up to and with ASSISTANT:; the first one follows the image, later ones the </s> of an answer. */
function askedIds(encoder: BytePairEncoder, question: string, isFirst: boolean): number[] {
  const opening = isFirst
    ? encoder.encode(`\n${question}`)
    : [encoder.special(USER), ...encoder.encode(` ${question}`)];
  return [...opening, encoder.special(ASSISTANT)];
}
