// The recipe of the demo model, a miniature of LLaVA's: tower, language, alignment, instruction tuning, practice.
import type { BytePairEncoder } from "../bpe.ts";
import type { Phase } from "../trainer.ts";
import { answerPhase } from "./answer-phase.ts";
import { captionTurns, PICTURE_ROW, pictureSample, questionTurns, textSample, toldTurns } from "./answer-samples.ts";
import { trainTokenizer } from "./tokenizer.ts";
import { towerPhase } from "./tower-phase.ts";

const SEED = 1;
const BATCH = 32;
/** Positions of a row without a picture. */
const TEXT_ROW = 176;
/** Share of instruction dialogues about a scene that is told instead of shown, as LLaVA mixes in text-only chats. */
const TOLD_SHARE = 0.06;

/** What is still weak after instruction tuning is asked more often in the end, what is strong less. */
const HARD = { relation_x: 4, count_color: 2, count_shape: 1.5, compare: 1.3, describe: 1.5, size: 1.2, where: 0.6, read: 0.6, relation_y: 0.6 };

let shared: BytePairEncoder | undefined;

/** The demo's tokenizer: the same for every phase and for the model's folder. */
export function demoTokenizer(): BytePairEncoder {
  shared ??= trainTokenizer(SEED);
  return shared;
}

export function demoPhases(): Phase[] {
  return [
    towerPhase({ steps: 4200, pictures: BATCH, peakLearningRate: 1e-3, seed: SEED }),
    answerPhase({
      name: "language",
      title: "Language",
      steps: 500,
      samples: BATCH,
      peakLearningRate: 1.5e-3,
      seed: SEED,
      firstScene: 0,
      positions: TEXT_ROW,
      supervisedPerSample: 44,
      hasPictures: false,
      patchLossWeight: 0,
      trains: () => true,
      sample: (encoder, scene, random) => textSample(encoder, toldTurns(scene, random), TEXT_ROW),
      encoder: demoTokenizer,
    }),
    answerPhase({
      name: "alignment",
      title: "Alignment",
      steps: 150,
      samples: BATCH,
      peakLearningRate: 2e-3,
      seed: SEED,
      firstScene: 0,
      positions: PICTURE_ROW,
      supervisedPerSample: 64,
      hasPictures: true,
      patchLossWeight: 0,
      trains: (parameter) => parameter.startsWith("multi_modal_projector."),
      sample: (encoder, scene, random) => pictureSample(encoder, captionTurns(scene, random)),
      encoder: demoTokenizer,
    }),
    answerPhase({
      name: "instruction",
      title: "Instruction tuning",
      steps: 1734,
      scheduleSteps: 3000,
      samples: BATCH,
      peakLearningRate: 1e-3,
      seed: SEED,
      firstScene: 0,
      positions: PICTURE_ROW,
      supervisedPerSample: 44,
      hasPictures: true,
      patchLossWeight: 0.2,
      trains: () => true,
      sample: (encoder, scene, random, split) =>
        random.chance(TOLD_SHARE)
          ? textSample(encoder, toldTurns(scene, random), PICTURE_ROW)
          : pictureSample(encoder, questionTurns(scene, random, split)),
      encoder: demoTokenizer,
    }),
    answerPhase({
      name: "practice",
      title: "Practice",
      steps: 1300,
      samples: BATCH,
      peakLearningRate: 6e-4,
      seed: SEED,
      firstScene: 200_000,
      positions: PICTURE_ROW,
      supervisedPerSample: 44,
      hasPictures: true,
      patchLossWeight: 0.2,
      trains: () => true,
      sample: (encoder, scene, random, split) => pictureSample(encoder, questionTurns(scene, random, split, HARD)),
      encoder: demoTokenizer,
    }),
  ];
}
