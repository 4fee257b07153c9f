/**
 * What each number of bits costs: how far the next token's distribution moves from that of float32, and how many of the
 * demo's questions are still answered rightly. The same words and images for all; the random models are the tests'.
 */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { Engine } from "@llava/engine";
import { openModelFolder } from "@llava/models";
import { render, SCENE_SIZE } from "@llava/demo/scenes";
import { survey, total } from "@llava/demo";
import sharp from "sharp";
import { LogitsModel, type Sample } from "./logits-model.ts";
import { compare, type Divergence, precisionTable, type PrecisionRow } from "./divergence.ts";
import { mergeResults, thisMachine } from "../results/bench-results.ts";
import { wholeNumber } from "../../support/script-flags.ts";

const ROOT = path.join(import.meta.dirname, "../../..");
const DEMO = path.join(ROOT, "packages/demo/model/llava-demo");
const RANDOM = path.join(ROOT, "packages/engine/test/golden");
const TABLE = path.join(import.meta.dirname, "results.md");
const VARIANTS = [
  { name: "float32", dtype: "float32", quantizesVision: false },
  { name: "float16", dtype: "float16", quantizesVision: false },
  { name: "int8", dtype: "int8", quantizesVision: false },
  { name: "int8, vision too", dtype: "int8", quantizesVision: true },
  { name: "int4", dtype: "int4", quantizesVision: false },
  { name: "int4, vision too", dtype: "int4", quantizesVision: true },
] as const;
type Variant = (typeof VARIANTS)[number];

const { values: flags } = parseArgs({
  options: {
    "per-kind": { type: "string", default: "40" },
    samples: { type: "string", default: "60" },
    write: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (flags.help) {
  console.log(`Compares the precisions of weights on the demo model and on random ones.

  npm run bench:precision -- [--samples 60] [--per-kind 40] [--write]

  --samples   questions whose distributions are compared
  --per-kind  questions of each kind that are answered and scored
  --write     also write scripts/bench/results/bench-results.json and scripts/bench/precision/results.md`);
  process.exit(0);
}
const numSamples = wholeNumber("--samples", flags.samples, [1, 100_000]);
const perKind = wholeNumber("--per-kind", flags["per-kind"], [1, 100_000]);

async function png(scene: Parameters<typeof render>[0]): Promise<Buffer> {
  const raw = { width: SCENE_SIZE, height: SCENE_SIZE, channels: 3 } as const;
  return await sharp(render(scene), { raw }).png().toBuffer();
}

/** Questions about images, with their answers, evenly over the kinds. */
async function demoSamples(): Promise<Sample[]> {
  const items: { question: string; answer: string; scene: Parameters<typeof render>[0] }[] = [];
  const collect = async (item: (typeof items)[number]): Promise<string> => {
    items.push(item);
    return "";
  };
  await survey(collect, { split: "test", wording: "trained", perKind: 8 });
  const step = Math.max(1, Math.floor(items.length / numSamples));
  const chosen = items.filter((_, i) => i % step === 0).slice(0, numSamples);
  return await Promise.all(
    chosen.map(async ({ question, answer, scene }) => ({ question, answer, image: await png(scene) })),
  );
}

/** Words of no meaning for models of none. */
function randomSamples(): Sample[] {
  const words = ["the", "circle", "is", "red", "and", "small", "left", "of", "two", "squares"];
  return Array.from({ length: 20 }, (_, i) => ({
    question: words
      .slice(0, 3)
      .map((_, j) => words[(i * 3 + j * j) % words.length])
      .join(" "),
    answer: words
      .slice(0, 3)
      .map((_, j) => words[(i * 7 + j * 3) % words.length])
      .join(" "),
    image: null,
  }));
}

async function divergences(folder: string, samples: readonly Sample[]): Promise<Map<Variant, Divergence>> {
  const found = new Map<Variant, Divergence>();
  let expected: Float32Array[] = [];
  for (const variant of VARIANTS) {
    using model = await LogitsModel.load(folder, variant);
    const logits: Float32Array[] = [];
    for (const sample of samples) logits.push(await model.logits(sample));
    if (variant.dtype === "float32") expected = logits;
    found.set(variant, compare(expected, logits, model.vocabulary));
  }
  return found;
}

async function accuracy({ dtype, quantizesVision }: Variant): Promise<{ right: number; asked: number }> {
  await using engine = await Engine.load(DEMO, { dtype, quantizesVision });
  const scores = await survey(
    async ({ scene, question }) => {
      let answer = "";
      const prompt = [{ role: "user" as const, text: `<image>\n${question}` }];
      const images = [await png(scene)];
      for await (const event of engine.generate({ prompt, images, temperature: 0, maxTokens: 96 })) {
        if (event.type === "text-delta") answer += event.text;
        if (event.type === "error") throw event.error;
      }
      return answer;
    },
    { split: "test", wording: "trained", perKind },
  );
  return total(scores);
}

const demo = await divergences(DEMO, await demoSamples());
const names = ["full-f32", "grouped-f16", "multi-query-bf16"];
const random: (readonly [string, Map<Variant, Divergence>])[] = [];
for (const name of names) {
  await openModelFolder(path.join(RANDOM, name));
  random.push([name, await divergences(path.join(RANDOM, name), randomSamples())]);
}
const rows: PrecisionRow[] = [];
for (const variant of VARIANTS) {
  const { right, asked } = await accuracy(variant);
  const demoDivergence = demo.get(variant);
  if (!demoDivergence) continue;
  rows.push({
    precision: variant.name,
    demo: demoDivergence,
    random: Object.fromEntries(
      random.flatMap(([name, of]) => {
        const divergence = of.get(variant);
        return divergence ? [[name, divergence]] : [];
      }),
    ),
    right,
    asked,
  });
  console.error(`${variant.name}: ${right} of ${asked} right`);
}
const machine = thisMachine();
const table = precisionTable(rows, machine);
console.log(table);
if (flags.write) {
  await mergeResults({ precision: { ...machine, samples: numSamples, perKind, rows } });
  await writeFile(TABLE, table);
}
