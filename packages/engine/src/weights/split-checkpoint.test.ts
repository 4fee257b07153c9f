/** A model whose parts lie in several folders answers like the whole one. */
import { cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Checkpoint, writeSafetensors } from "@llava/checkpoint";
import { type ModelFolder, openModelFolder, projectorFamily, textFamily, visionFamily } from "@llava/models";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Decoder } from "../runner/decoder.ts";
import { VisionEncoder } from "../runner/vision-encoder.ts";
import type { WeightDType } from "./weight-dtype.ts";
import { loadWeights } from "./weights.ts";
import { MODEL } from "../../test/engine-fixtures.ts";

/** Each part in a folder of its own, under the names that its own checkpoints have, as our name → their name. */
const PARTS = {
  "deep/text": { family: textFamily("llama"), from: /^language_model\./, to: "" },
  tower: { family: visionFamily("clip_vision_model"), from: /^vision_tower\./, to: "" },
  projector: {
    family: projectorFamily("mlp2x_gelu"),
    from: /^multi_modal_projector\./,
    to: "model.mm_projector.",
  },
};

let root: string;
let model: ModelFolder;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), "llava-split-"));
  vi.stubEnv("LLAVA_CACHE", path.join(root, "cache"));
  model = await openModelFolder(MODEL);
  const whole = await Checkpoint.compose(model.weights);
  for (const [folder, { from, to }] of Object.entries(PARTS)) {
    const names = whole.names().filter((name) => from.test(name));
    const tensors = names.map(async (name) => ({
      name: name
        .replace(from, to)
        .replace("projector.linear_1.", "projector.0.")
        .replace("projector.linear_2.", "projector.2."),
      dtype: "F32" as const,
      shape: whole.get(name).shape,
      data: await whole.read(name),
    }));
    await mkdir(path.join(root, folder), { recursive: true });
    await writeSafetensors(path.join(root, folder, "model.safetensors"), await Promise.all(tensors));
  }
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

const signal = new AbortController().signal;
const split = () =>
  Object.entries(PARTS).map(([folder, { family }]) => ({
    folder: path.join(root, folder),
    tensorName: (stored: string) => family.tensorName(stored),
  }));

/** The logits of a prompt with an image. */
async function logitsOf(
  weights: Parameters<typeof loadWeights>[0],
  dtype: WeightDType,
): Promise<Float32Array> {
  const { description } = model;
  const { encoder, decoder } = await loadWeights(weights, description, { dtype });
  const at = { threads: 1 };
  using tower = await VisionEncoder.load(description, encoder.source, {
    ...at,
    externalDataFolder: encoder.folder,
  });
  using text = await Decoder.load(description, decoder.source, 2 ** 26, {
    ...at,
    externalDataFolder: decoder.folder,
  });
  await text.resize(1, 64);
  const pixels = Float32Array.from({ length: 3 * description.vision.imageSize ** 2 }, (_, i) => Math.sin(i));
  const [value] = await tower.encode([pixels], signal);
  using features = value;
  const rows = Array.from({ length: 40 }, (_, i) => (i < 3 || i >= 3 + 16 ? -1 : i - 3));
  const ids = rows.map((_, i) => 5 + i);
  return await text.prefill(
    { slot: 0, ids, featureRows: rows, features, past: 0, logitRows: rows.map((_, i) => i) },
    signal,
  );
}

test.each<WeightDType>(["float32", "int8"])(
  "text, tower and projector in three folders: %s",
  async (dtype) => {
    const whole = await logitsOf(model.weights, dtype);
    expect(Math.max(...whole) - Math.min(...whole)).toBeGreaterThan(1);
    expect(await logitsOf(split(), dtype)).toEqual(whole);
  },
);

test.skipIf(process.platform === "win32")("a folder that is reached by a link", async () => {
  // Outside the folder that holds the link and the other parts.
  const elsewhere = await mkdtemp(path.join(tmpdir(), "llava-split-"));
  const [text, ...others] = split();
  if (!text) throw new Error("The split model has no parts.");
  const linked = path.join(root, "linked");
  await cp(text.folder, elsewhere, { recursive: true });
  await symlink(elsewhere, linked);
  const whole = await logitsOf(model.weights, "float32");
  expect(await logitsOf([{ ...text, folder: linked }, ...others], "float32")).toEqual(whole);
  await rm(elsewhere, { recursive: true });
});
