/** Scores how often a model's answers are right, with the uncertainty that the number of questions leaves. */
import { type EvaluationItem, EVALUATION_KINDS, evaluationItem } from "./evaluation.ts";
import { type Kind, KINDS, type Split, type Wordings } from "../scenes/index.ts";

/** Answers one question about one image. */
export type Ask = (item: EvaluationItem) => Promise<string>;

export interface Tally {
  readonly right: number;
  readonly asked: number;
}

export type Scores = ReadonlyMap<Kind, Tally>;

export interface Survey {
  readonly split: Split;
  readonly wording: keyof Wordings;
  /** Number of questions of each kind. */
  readonly perKind: number;
  readonly onAsked?: () => void;
}

/** Asks `perKind` questions of every kind that the split has. Questions are fixed by kind, split and number. */
export async function survey(ask: Ask, { split, wording, perKind, onAsked }: Survey): Promise<Scores> {
  const scores = new Map<Kind, Tally>();
  for (const kind of EVALUATION_KINDS[split]) {
    let right = 0;
    for (let seed = 0; seed < perKind; seed++) {
      const item = evaluationItem(kind, split, seed, wording);
      right += Number(normalized(await ask(item)) === normalized(item.answer));
      onAsked?.();
    }
    scores.set(kind, { right, asked: perKind });
  }
  return scores;
}

export function kindsIn(split: Split): readonly Kind[] {
  return EVALUATION_KINDS[split];
}

/** The tally of all kinds together. */
export function total(scores: Scores): Tally {
  const all = KINDS.map((kind) => scores.get(kind) ?? { right: 0, asked: 0 });
  return {
    right: all.reduce((sum, { right }) => sum + right, 0),
    asked: all.reduce((sum, { asked }) => sum + asked, 0),
  };
}

/** The answer in lower case and without the final period; no other difference is accepted. */
function normalized(answer: string): string {
  return answer.trim().toLowerCase().replace(/\.$/, "");
}

/** Wilson's 95 % interval of a share, as two shares. */
export function wilsonInterval({ right, asked }: Tally): readonly [number, number] {
  const z = 1.959964;
  const share = right / asked;
  const center = share + z ** 2 / (2 * asked);
  const spread = z * Math.sqrt((share * (1 - share)) / asked + z ** 2 / (4 * asked ** 2));
  const scale = 1 + z ** 2 / asked;
  return [(center - spread) / scale, (center + spread) / scale];
}
