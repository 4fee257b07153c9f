/**
 * Draws the page's sample pictures and writes what can be asked about them, with the true answers; run by hand with
 * `node scripts/samples.ts` after the demo's drawings change. The answers come from the scenes, as in training.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { crc32, deflateSync } from "node:zlib";

import { caption } from "../packages/training/src/demo/captions.ts";
import { DEFAULT_OPTIONS } from "../packages/training/src/demo/question.ts";
import { questionFor } from "../packages/training/src/demo/questions.ts";
import { Random } from "../packages/training/src/demo/random.ts";
import { render } from "../packages/training/src/demo/render.ts";
import { SAMPLE_SCENES } from "./sample-scenes.ts";
import type { SampleScene } from "./sample-scenes.ts";

/** Edge in pixels: four to one of the demo model's. */
const SIZE = 384;
const MAX_TRIES = 5_000;
const FOLDER = fileURLToPath(new URL("../apps/web/src/browser/public/samples/", import.meta.url));

async function writeSamples(): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  for (const sample of SAMPLE_SCENES)
    await writeFile(FOLDER + sample.file, png(render(sample.scene, SIZE), SIZE));
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

/** A PNG of [size, size, 3] bytes: true colour, each row as its difference to the row above. */
function png(pixels: Uint8Array, size: number): Buffer {
  const stride = size * 3;
  const rows = Buffer.alloc(size * (stride + 1));
  for (let y = 0; y < size; y++) {
    const start = y * (stride + 1);
    rows[start] = 2;
    for (let x = 0; x < stride; x++) {
      const above = y === 0 ? 0 : (pixels[(y - 1) * stride + x] ?? 0);
      rows[start + 1 + x] = (pixels[y * stride + x] ?? 0) - above;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const data = deflateSync(rows, { level: 9 });
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", data),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

if (import.meta.main) await writeSamples();
