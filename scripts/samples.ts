/**
 * Draws the page's sample pictures and writes what can be asked about them, with the true answers; run by hand with
 * `node scripts/samples.ts` after the demo's drawings change. The answers come from the scenes, as in training.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import sharp from "sharp";

import { caption } from "../packages/training/src/demo/captions.ts";
import { DEFAULT_OPTIONS } from "../packages/training/src/demo/question.ts";
import { questionFor } from "../packages/training/src/demo/questions.ts";
import { Random } from "../packages/training/src/random.ts";
import { render } from "../packages/training/src/demo/render.ts";
import { SAMPLE_SCENES } from "./sample-scenes.ts";
import type { SampleScene } from "./sample-scenes.ts";

/** Edge in pixels: four to one of the demo model's. */
const SIZE = 384;
const MAX_TRIES = 5_000;
const FOLDER = fileURLToPath(new URL("../apps/web/src/browser/public/samples/", import.meta.url));

async function writeSamples(): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  for (const { file, scene } of SAMPLE_SCENES) {
    const raw = { width: SIZE, height: SIZE, channels: 3 } as const;
    await sharp(render(scene, SIZE), { raw })
      .png({ compressionLevel: 9 })
      .toFile(FOLDER + file);
  }
  const text = JSON.stringify(SAMPLE_SCENES.map(describe), null, 2);
  await writeFile(`${FOLDER}samples.json`, `${text}\n`);
}

/** One entry of samples.json. */
export function describe(sample: SampleScene): object {
  const { file, title, badge, scene, questions } = sample;
  return {
    file,
    title,
    alt: caption(scene),
    ...(badge === undefined ? {} : { badge }),
    questions: questions.map(({ text }) => text),
    answers: questions.map(({ text, kind }) => answerTo(text, kind, sample)),
  };
}

/** The generator chooses its words at random: asked often enough, it asks this too, and then it knows the answer. */
function answerTo(
  text: string,
  kind: SampleScene["questions"][number]["kind"],
  { scene, file }: SampleScene,
): string {
  for (let seed = 0; seed < MAX_TRIES; seed++) {
    const question = questionFor(scene, kind, Random.of(seed, "samples"), {
      ...DEFAULT_OPTIONS,
      split: "held-out",
    });
    if (question?.text === text) return question.sentence;
  }
  throw new Error(
    `The demo never asks "${text}" about ${file}; choose another question in scripts/sample-scenes.ts.`,
  );
}

if (import.meta.main) await writeSamples();
