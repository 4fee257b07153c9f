// The recipe of the demo model, a miniature of LLaVA's: tower, language, alignment, instruction tuning, practice.
import type { BytePairEncoder } from "../bpe.ts";
import type { Phase } from "../trainer.ts";
import { answerPhase, type AnswerPhaseOptions } from "./answer-phase.ts";
import {
  captionTurns,
  PICTURE_ROW,
  pictureSample,
  questionTurns,
  textSample,
  toldTurns,
} from "./answer-samples.ts";
import { trainTokenizer } from "./tokenizer.ts";
import { towerPhase } from "./tower-phase.ts";

const SEED = 1;
const BATCH = 32;
/** Positions of a row without a picture. */
const TEXT_ROW = 176;
/** Share of instruction dialogues about a scene that is told instead of shown, as LLaVA mixes in text-only chats. */
const TOLD_SHARE = 0.06;

/** What is still weak after instruction tuning is asked more often in the end, what is strong less. */
const HARD = {
  relation_x: 4,
  count_color: 2,
  count_shape: 1.5,
  compare: 1.3,
  describe: 1.5,
  size: 1.2,
  where: 0.6,
  read: 0.6,
  relation_y: 0.6,
};

let shared: BytePairEncoder | undefined;

/** The demo's tokenizer: the same for every phase and for the model's folder. */
export function demoTokenizer(): BytePairEncoder {
  shared ??= trainTokenizer(SEED);
  return shared;
}

/** Every phase but the tower's is about answers, in batches of the same size. */
const ANSWERS = {
  samples: BATCH,
  seed: SEED,
  firstScene: 0,
  encoder: demoTokenizer,
  trains: () => true,
} as const;
/** Phases on pictures; the tower's own loss goes on beside that of the answers where everything is trained. */
const PICTURES = {
  ...ANSWERS,
  positions: PICTURE_ROW,
  hasPictures: true,
  supervisedPerSample: 44,
  patchLossWeight: 0.2,
} as const;

const LANGUAGE: AnswerPhaseOptions = {
  ...ANSWERS,
  name: "language",
  title: "Language",
  steps: 500,
  peakLearningRate: 1.5e-3,
  positions: TEXT_ROW,
  supervisedPerSample: 44,
  hasPictures: false,
  patchLossWeight: 0,
  sample: (encoder, scene, random) => textSample(encoder, toldTurns(scene, random), TEXT_ROW),
};

const ALIGNMENT: AnswerPhaseOptions = {
  ...PICTURES,
  name: "alignment",
  title: "Alignment",
  steps: 150,
  peakLearningRate: 2e-3,
  supervisedPerSample: 64,
  patchLossWeight: 0,
  trains: (parameter) => parameter.startsWith("multi_modal_projector."),
  sample: (encoder, scene, random) => pictureSample(encoder, captionTurns(scene, random)),
};

const INSTRUCTION: AnswerPhaseOptions = {
  ...PICTURES,
  name: "instruction",
  title: "Instruction tuning",
  steps: 1734,
  scheduleSteps: 3000,
  peakLearningRate: 1e-3,
  sample: (encoder, scene, random, split) =>
    random.chance(TOLD_SHARE)
      ? textSample(encoder, toldTurns(scene, random), PICTURE_ROW)
      : pictureSample(encoder, questionTurns(scene, random, split)),
};

const PRACTICE: AnswerPhaseOptions = {
  ...PICTURES,
  name: "practice",
  title: "Practice",
  steps: 1120,
  peakLearningRate: 6e-4,
  firstScene: 200_000,
  sample: (encoder, scene, random, split) =>
    pictureSample(encoder, questionTurns(scene, random, split, HARD)),
};

export function demoPhases(): Phase[] {
  const tower = towerPhase({ steps: 4200, pictures: BATCH, peakLearningRate: 1e-3, seed: SEED });
  return [tower, ...[LANGUAGE, ALIGNMENT, INSTRUCTION, PRACTICE].map(answerPhase)];
}
