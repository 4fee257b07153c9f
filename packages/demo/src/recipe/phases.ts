// The recipe of the demo model, a miniature of LLaVA's: tower, language, alignment, instruction tuning, and practice.
import type { BytePairEncoder } from "./text/bpe.ts";
import { KINDS, type Random, type Scene, sceneOf } from "../scenes/index.ts";
import type { Phase } from "@llava/training";
import { answerPhase, type AnswerPhaseOptions } from "./answer-phase.ts";
import {
  captionTurns,
  IMAGE_ROW,
  imageSample,
  questionTurns,
  textSample,
  toldTurns,
} from "./text/answer-samples.ts";
import { dialogue, type DialogueOptions, type Turn } from "./text/dialogue.ts";
import { trainTokenizer } from "./text/demo-tokenizer.ts";
import { towerPhase } from "./tower-phase.ts";

const SEED = 1;
const BATCH = 32;
/** Positions of a row without an image. */
const TEXT_ROW = 176;

/** Share of instruction dialogues about a scene that is told instead of shown. */
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

/** Questions whose answers must not lean on which colors went with which shapes. */
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

/** The same, and conjunctions above all. */
const COMPOSED = { ...ABOUT_SHAPES, exist: 5, count_color: 3, shape: 4, color: 1.5 };

/** In the end also what the phases before have let slip. */
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

/** Every phase but the tower's is about answers, in batches of the same size. */
const ANSWERS = {
  samples: BATCH,
  seed: SEED,
  firstScene: 0,
  encoder: demoTokenizer,
  trains: () => true,
} as const;
/** Phases on images; the tower's own loss goes on beside that of the answers where everything is trained. */
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
  title: "Language",
  steps: 500,
  peakLearningRate: 1.5e-3,
  positions: TEXT_ROW,
  supervisedPerSample: 44,
  hasImages: false,
  patchLossWeight: 0,
  sample: (encoder, scene, random) => textSample(encoder, toldTurns(scene, random), TEXT_ROW),
};

const ALIGNMENT: AnswerPhaseOptions = {
  ...IMAGES,
  name: "alignment",
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
  title: "Instruction tuning",
  steps: 1734,
  scheduleSteps: 3000,
  peakLearningRate: 1e-3,
  sample: dialogues({}, TOLD_SHARE),
};

const PRACTICE: AnswerPhaseOptions = {
  ...IMAGES,
  name: "practice",
  title: "Practice",
  steps: 1120,
  peakLearningRate: 6e-4,
  firstScene: 200_000,
  sample: dialogues({ emphasis: HARD }),
};

/** Objects without a nameable color: what is a circle in grey and in lime is one in colors it was never seen in. */
const OTHER_COLORS: AnswerPhaseOptions = {
  ...IMAGES,
  name: "other_colors",
  title: "Other colors",
  steps: 500,
  peakLearningRate: 6e-4,
  firstScene: 300_000,
  namelessShare: 0.4,
  patchLossWeight: 0.4,
  sample: dialogues({ emphasis: ABOUT_SHAPES }, TOLD_SHARE),
};

/** Conjunctions of looks, and a loss that does not teach that a pair which was never drawn cannot be. */
const COMPOSITION: AnswerPhaseOptions = {
  ...OTHER_COLORS,
  name: "composition",
  title: "Composition",
  steps: 600,
  scheduleSteps: 1000,
  peakLearningRate: 7e-4,
  firstScene: 400_000,
  namelessShare: 0.3,
  sparesHeldOut: "answers",
  sample: dialogues({ emphasis: COMPOSED, detailShare: 0.6 }, 0.2, anyToldTurns),
};

/** Everything once more, with what is weak asked most, while the learning rate falls to nothing. */
const REFINEMENT: AnswerPhaseOptions = {
  ...COMPOSITION,
  name: "refinement",
  title: "Refinement",
  steps: 750,
  scheduleSteps: 750,
  peakLearningRate: 6e-4,
  firstScene: 500_000,
  patchLossWeight: 0.6,
  sparesHeldOut: "answers and patches",
  sample: dialogues({ emphasis: REFINED, detailShare: 0.4 }, 0.12, anyToldTurns),
};

/** Who it is, also when there is neither an image nor a told scene. */
const MANNERS: AnswerPhaseOptions = {
  ...REFINEMENT,
  name: "manners",
  title: "Manners",
  steps: 120,
  scheduleSteps: 120,
  peakLearningRate: 2e-4,
  firstScene: 600_000,
  sample: dialogues({ emphasis: REFINED, detailShare: 0.4 }, 0.2, selfTurns),
};

export function demoPhases(): Phase[] {
  const tower = towerPhase({ steps: 4200, images: BATCH, peakLearningRate: 1e-3, seed: SEED });
  const answers = [
    LANGUAGE,
    ALIGNMENT,
    INSTRUCTION,
    PRACTICE,
    OTHER_COLORS,
    COMPOSITION,
    REFINEMENT,
    MANNERS,
  ];
  return [tower, ...answers.map(answerPhase)];
}

/** Dialogues about images, and a share of them about scenes that are told instead, as LLaVA mixes in text-only chats. */
function dialogues(
  options: DialogueOptions,
  toldShare = 0,
  told: (scene: Scene, random: Random) => Turn[] = toldTurns,
): AnswerPhaseOptions["sample"] {
  return (encoder, scene, random, split) =>
    toldShare > 0 && random.chance(toldShare)
      ? textSample(encoder, told(scene, random), IMAGE_ROW)
      : imageSample(encoder, questionTurns(scene, random, split, options));
}

/** About scenes with any pairs: words alone say that a circle may be purple. */
function anyToldTurns(_: Scene, random: Random): Turn[] {
  const emphasis = { exist: 4, shape: 2, color: 2, describe: 2 };
  return toldTurns(sceneOf("told", random.int(2 ** 30)), random, {
    split: "told",
    emphasis,
    detailShare: 0.3,
  });
}

/** Questions about itself and nothing else; half of the time about a told scene instead. */
function selfTurns(scene: Scene, random: Random): Turn[] {
  if (random.chance(0.5)) return anyToldTurns(scene, random);
  const others = KINDS.filter((kind) => kind !== "identity").map((kind) => [kind, 0]);
  return dialogue(scene, random, { style: "sentence", maxTurns: 5, emphasis: Object.fromEntries(others) });
}
