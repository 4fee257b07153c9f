/**
 * Draws the page's sample images and writes what can be asked about them, with the true answers; run by hand with
 * `npx node scripts/demo/page-samples.ts` after the demo's drawings change. The answers come from the scenes, as in training.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import sharp from "sharp";

import { answerTo, caption, render, SAMPLE_SCENES, type SampleScene } from "@llava/demo/scenes";

/** Edge in pixels: four to one of the demo model's. */
const SIZE = 384;
const FOLDER = fileURLToPath(new URL("../../apps/web/src/browser/public/samples/", import.meta.url));

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
    answers: questions.map(({ text, kind }) => {
      const answer = answerTo(scene, kind, text);
      if (answer !== null) return answer;
      throw new Error(
        `The demo never asks "${text}" about ${file}; choose another question in packages/demo/src/scenes/questions/sample-scenes.ts.`,
      );
    }),
  };
}

if (import.meta.main) await writeSamples();
