/** Defines the recipe of the demo model, a miniature of LLaVA's: tower, language, alignment, instruction tuning and more. */
import type { BytePairEncoder } from "./text/bpe.ts";
import { KINDS, type Random, type Scene, sceneOf, SCENES_PER_SPLIT } from "../scenes/index.ts";
import type { Phase } from "@llava/training";
import { answerPhase, type AnswerPhaseOptions } from "./answer-phase.ts";
import {
  captionTurns,
  IMAGE_ROW,
  imageSample,
  questionTurns,
  textSample,
  textOnlyTurns,
} from "./text/answer-samples.ts";
import { dialogue, type DialogueOptions, type Turn } from "./text/dialogue.ts";
import { trainTokenizer } from "./text/demo-tokenizer.ts";
import { towerPhase } from "./tower-phase.ts";

const SEED = 1;
const BATCH = 32;
/** Number of positions in a row without an image. */
const TEXT_ROW = 176;

/** Share of instruction dialogues about a scene that is described in words instead of shown. */
const TEXT_ONLY_SHARE = 0.06;

/** Factors for the phase after instruction tuning: what is still weak is asked more often, what is strong less. */
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

/** Factors for questions whose answers must not depend on which colors occurred with which shapes. */
const ABOUT_SHAPES = {
  shape: 3,
  count_shape: 3,
  count_color: 2,
  exist: 1.5,
  compare: 2,
  describe: 2,
  size: 1.2,
  relation_x: 1.3,
  relation_y: 0.4,
  read: 0.5,
  where: 0.5,
};

/** The same factors, with more questions about several looks of one object. */
const COMPOSED = { ...ABOUT_SHAPES, exist: 5, count_color: 3, shape: 4, color: 1.5 };

/** The same factors, with more questions of the kinds that became weaker in the phases before. */
const REFINED = {
  ...COMPOSED,
  read: 0.9,
  relation_x: 1.6,
  relation_y: 0.5,
  where: 0.6,
  describe: 3,
  count_shape: 3.5,
};

let shared: BytePairEncoder | undefined;

/** The demo's tokenizer: the same for every phase and for the model's folder. */
export function demoTokenizer(): BytePairEncoder {
  shared ??= trainTokenizer(SEED);
  return shared;
}

/** Options of every phase but the tower's. */
const ANSWERS = {
  samples: BATCH,
  seed: SEED,
  firstScene: 0,
  encoder: demoTokenizer,
  trains: () => true,
} as const;
/** Options of phases on images; the tower's own loss is added to that of the answers. */
const IMAGES = {
  ...ANSWERS,
  positions: IMAGE_ROW,
  hasImages: true,
  supervisedPerSample: 44,
  patchLossWeight: 0.2,
} as const;

const LANGUAGE: AnswerPhaseOptions = {
  ...ANSWERS,
  name: "language",
  stream: "language",
  title: "Language",
  steps: 500,
  peakLearningRate: 1.5e-3,
  positions: TEXT_ROW,
  supervisedPerSample: 44,
  hasImages: false,
  patchLossWeight: 0,
  sample: (encoder, scene, random) => textSample(encoder, textOnlyTurns(scene, random), TEXT_ROW),
};

const ALIGNMENT: AnswerPhaseOptions = {
  ...IMAGES,
  name: "alignment",
  stream: "alignment",
  title: "Alignment",
  steps: 150,
  peakLearningRate: 2e-3,
  supervisedPerSample: 64,
  patchLossWeight: 0,
  trains: (parameter) => parameter.startsWith("multi_modal_projector."),
  sample: (encoder, scene, random) => imageSample(encoder, captionTurns(scene, random)),
};

const INSTRUCTION: AnswerPhaseOptions = {
  ...IMAGES,
  name: "instruction",
  stream: "instruction",
  title: "Instruction tuning",
  steps: 1734,
  scheduleSteps: 3000,
  peakLearningRate: 1e-3,
  sample: dialogues({}, TEXT_ONLY_SHARE),
};

const HARD_EXAMPLES: AnswerPhaseOptions = {
  ...IMAGES,
  name: "hardExamples",
  stream: "practice",
  title: "Hard examples",
  steps: 1120,
  peakLearningRate: 6e-4,
  firstScene: 200_000,
  sample: dialogues({ emphasis: HARD }),
};

/** Objects whose color has no name: a circle that is one in grey and in lime is one in colors that it never had. */
const OTHER_COLORS: AnswerPhaseOptions = {
  ...IMAGES,
  name: "otherColors",
  stream: "other_colors",
  title: "Other colors",
  steps: 500,
  peakLearningRate: 6e-4,
  firstScene: 300_000,
  namelessShare: 0.4,
  patchLossWeight: 0.4,
  sample: dialogues({ emphasis: ABOUT_SHAPES }, TEXT_ONLY_SHARE),
};

/** Several looks of one object, and a loss that does not teach that a pair which was never drawn cannot exist. */
const COMPOSITION: AnswerPhaseOptions = {
  ...OTHER_COLORS,
  name: "composition",
  stream: "composition",
  title: "Composition",
  steps: 600,
  scheduleSteps: 1000,
  peakLearningRate: 7e-4,
  firstScene: 400_000,
  namelessShare: 0.3,
  maskHeldOut: "answers",
  sample: dialogues({ emphasis: COMPOSED, detailShare: 0.6 }, 0.2, anyTextOnlyTurns),
};

/** All kinds once more, the weak ones most often, while the learning rate falls to its floor. */
const REFINEMENT: AnswerPhaseOptions = {
  ...COMPOSITION,
  name: "refinement",
  stream: "refinement",
  title: "Refinement",
  steps: 750,
  scheduleSteps: 750,
  peakLearningRate: 6e-4,
  firstScene: 500_000,
  patchLossWeight: 0.6,
  maskHeldOut: "answers and patches",
  sample: dialogues({ emphasis: REFINED, detailShare: 0.4 }, 0.12, anyTextOnlyTurns),
};

/** Questions about the model itself, also without an image or a described scene. */
const IDENTITY: AnswerPhaseOptions = {
  ...REFINEMENT,
  name: "identity",
  stream: "manners",
  title: "Identity",
  steps: 120,
  scheduleSteps: 120,
  peakLearningRate: 2e-4,
  firstScene: 600_000,
  sample: dialogues({ emphasis: REFINED, detailShare: 0.4 }, 0.2, identityTurns),
};

export function demoPhases(): Phase[] {
  const tower = towerPhase({ steps: 4200, images: BATCH, peakLearningRate: 1e-3, seed: SEED });
  const answers = [
    LANGUAGE,
    ALIGNMENT,
    INSTRUCTION,
    HARD_EXAMPLES,
    OTHER_COLORS,
    COMPOSITION,
    REFINEMENT,
    IDENTITY,
  ];
  return [tower, ...answers.map(answerPhase)];
}

/** Dialogues about images, with a share of text-only ones about described scenes, as LLaVA's data has text-only chats. */
function dialogues(
  options: DialogueOptions,
  textOnlyShare = 0,
  turns: (scene: Scene, random: Random) => Turn[] = textOnlyTurns,
): AnswerPhaseOptions["sample"] {
  return (encoder, scene, random, split) =>
    textOnlyShare > 0 && random.chance(textOnlyShare)
      ? textSample(encoder, turns(scene, random), IMAGE_ROW)
      : imageSample(encoder, questionTurns(scene, random, split, options));
}

/** Dialogues about described scenes with any pairs: only words teach that a circle may be purple. */
function anyTextOnlyTurns(_: Scene, random: Random): Turn[] {
  const emphasis = { exist: 4, shape: 2, color: 2, describe: 2 };
  return textOnlyTurns(sceneOf("text-only", random.int(SCENES_PER_SPLIT)), random, {
    split: "text-only",
    emphasis,
    detailShare: 0.3,
  });
}

/** Questions about the model itself and nothing else; half of the time questions about a described scene instead. */
function identityTurns(scene: Scene, random: Random): Turn[] {
  if (random.chance(0.5)) return anyTextOnlyTurns(scene, random);
  const others = KINDS.filter((kind) => kind !== "identity").map((kind) => [kind, 0]);
  return dialogue(scene, random, { style: "sentence", maxTurns: 5, emphasis: Object.fromEntries(others) });
}
