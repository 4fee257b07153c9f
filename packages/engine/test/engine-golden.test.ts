/** VisionEncoder and decoder against Hugging Face transformers (scripts/reference/golden.py made the files). */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { Checkpoint } from "@llava/checkpoint";
import { decodeImage, IMAGE_TOKEN, pixelValues } from "@llava/processing";
import { type ComputeType, type ModelFolder, openModelFolder } from "@llava/models";
import { float16Numbers } from "@llava/testing/float16-numbers";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Decoder } from "../src/runner/decoder.ts";
import { VisionEncoder } from "../src/runner/vision-encoder.ts";
import { mostLikely } from "../src/sampling/sampler.ts";

const GOLDEN = path.join(import.meta.dirname, "golden");
const SHIPPED = path.join(import.meta.dirname, "../../demo/model/llava-demo");

/** Tiny random checkpoints that lie beside their goldens, and the shipped demo model. */
const CASES = readdirSync(GOLDEN, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => ({
    name,
    golden: path.join(GOLDEN, name),
    folder: name === "demo" ? SHIPPED : path.join(GOLDEN, name),
  }));

const promptSchema = z.object({
  text: z.string(),
  pictures: z.array(z.string()),
  ids: z.array(z.int()),
  compactIds: z.array(z.int()),
  greedy: z.array(z.int()),
});
type GoldenPrompt = z.output<typeof promptSchema>;
const goldenSchema = z.object({ prompts: z.record(z.string(), promptSchema) });

const signal = new AbortController().signal;

class Reference implements Disposable {
  readonly model: ModelFolder;
  readonly #encoder: VisionEncoder;
  readonly #decoder: Decoder;

  private constructor(model: ModelFolder, encoder: VisionEncoder, decoder: Decoder) {
    this.model = model;
    this.#encoder = encoder;
    this.#decoder = decoder;
  }

  static async load(folder: string, computeType: ComputeType = "float32"): Promise<Reference> {
    const model = await openModelFolder(folder);
    const weights = await Checkpoint.compose(model.weights);
    const options = { externalDataFolder: folder };
    const decoder = await Decoder.load(model.description, weights, 2 ** 30, options, computeType);
    await decoder.resize(1, model.description.text.contextLength);
    const encoder = await VisionEncoder.load(model.description, weights, options, computeType);
    return new Reference(model, encoder, decoder);
  }

  /** Logits [tokens, vocabulary] of the whole prompt, and the greedy continuation. Prefill in chunks of `chunk`. */
  async answer(
    prompt: GoldenPrompt,
    pixels: readonly Float32Array[],
    chunk: number,
  ): Promise<{ logits: Float32Array; greedy: number[] }> {
    const { vocabSize } = this.model.description.text;
    const { ids, images } = this.#expand(prompt);
    const logits = new Float32Array(ids.length * vocabSize);
    for (let from = 0; from < ids.length;) {
      const touched = images.findIndex(({ start, tokens }) => start + tokens > from);
      const image = images[touched];
      const next = touched < 0 ? undefined : images[touched + 1];
      const to = Math.min(ids.length, from + chunk, next?.start ?? ids.length);
      const rows = Array.from({ length: to - from }, (_, i) => {
        const row = from + i - (image?.start ?? 0);
        return image && row >= 0 && row < image.tokens ? row : -1;
      });
      const touchedPixels = pixels[touched];
      const [features] = touchedPixels ? await this.#encoder.encode([touchedPixels], signal) : [];
      using owned = features;
      const logitRows = rows.map((_, i) => i);
      const part = await this.#decoder.prefill(
        { slot: 0, ids: ids.slice(from, to), featureRows: rows, features: owned, past: from, logitRows },
        signal,
      );
      logits.set(part, from * vocabSize);
      from = to;
    }
    return {
      logits,
      greedy: await this.#continue(ids.length, logits.subarray(-vocabSize), prompt.greedy.length),
    };
  }

  async features(pixels: Float32Array): Promise<Float32Array> {
    const [value] = await this.#encoder.encode([pixels], signal);
    using owned = value;
    const data = owned?.data() ?? [];
    return data instanceof Uint16Array ? float16Numbers(data) : Float32Array.from(data, Number);
  }

  async #continue(start: number, first: Float32Array, count: number): Promise<number[]> {
    const tokens = [mostLikely(first)];
    while (tokens.length < count) {
      const pasts = [start + tokens.length - 1];
      const logits = await this.#decoder.decode({ firstSlot: 0, ids: [tokens.at(-1) ?? 0], pasts }, signal);
      tokens.push(mostLikely(logits));
    }
    return tokens;
  }

  #expand({ compactIds }: GoldenPrompt): { ids: number[]; images: { start: number; tokens: number }[] } {
    const { imageTokenId, vision } = this.model.description;
    const ids: number[] = [];
    const images: { start: number; tokens: number }[] = [];
    for (const id of compactIds) {
      if (id !== IMAGE_TOKEN) ids.push(id);
      else {
        images.push({ start: ids.length, tokens: vision.tokensPerImage });
        ids.push(...Array.from({ length: vision.tokensPerImage }, () => imageTokenId));
      }
    }
    return { ids, images };
  }

  [Symbol.dispose](): void {
    this.#decoder[Symbol.dispose]();
    this.#encoder[Symbol.dispose]();
  }
}

/** The tiny checkpoints share their images; the demo has its own. */
function imageFile(goldenFolder: string, file: string): string {
  const own = path.join(goldenFolder, file);
  return existsSync(own) ? own : path.join(GOLDEN, file);
}

/** The pixels [3, size, size] of each image of a prompt, as the reference had them. */
async function goldenPixels(golden: Checkpoint, key: string, count: number): Promise<Float32Array[]> {
  if (count === 0) return [];
  const all = await golden.read(`${key}.pixel_values`);
  const length = all.length / count;
  return Array.from({ length: count }, (_, i) => all.slice(i * length, (i + 1) * length));
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs((a[i] ?? 0) - (b[i] ?? 0)));
  return largest;
}

/** The largest difference as a share of the largest expected number. */
function relativeDifference(a: ArrayLike<number>, expected: Float32Array): number {
  return (
    largestDifference(a, expected) / expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  );
}

describe.each(CASES)("golden $name", ({ golden: goldenFolder, folder }) => {
  const { prompts } = goldenSchema.parse(
    JSON.parse(readFileSync(path.join(goldenFolder, "golden.json"), "utf8")),
  );

  it.each(Object.entries(prompts))(
    "%s: ids, pixels, features, logits and greedy tokens",
    async (key, prompt) => {
      using reference = await Reference.load(folder);
      const golden = await Checkpoint.open(goldenFolder, { file: "golden.safetensors" });
      expect(reference.model.tokenizer.encodePrompt(prompt.text)).toEqual(prompt.compactIds);

      const pixels = await Promise.all(
        prompt.pictures.map(async (file) => {
          const image = await decodeImage(readFileSync(imageFile(goldenFolder, file)));
          return await pixelValues(image, reference.model.description.pixels);
        }),
      );
      if (pixels.length > 0) {
        const all = Float32Array.from(pixels.flatMap((values) => [...values]));
        expect(largestDifference(all, await golden.read(`${key}.pixel_values`))).toBeLessThan(1e-5);
        const features = await Promise.all(pixels.map((values) => reference.features(values)));
        const together = Float32Array.from(features.flatMap((values) => [...values]));
        expect(largestDifference(together, await golden.read(`${key}.features`))).toBeLessThan(1e-3);
      }

      const expected = await golden.read(`${key}.logits`);
      for (const chunk of [1024, 7]) {
        const { logits, greedy } = await reference.answer(prompt, pixels, chunk);
        expect(largestDifference(logits, expected)).toBeLessThan(1e-3);
        expect(greedy).toEqual(prompt.greedy);
      }
    },
  );

  it.each(Object.entries(prompts))("%s in float16: features and logits", async (key, prompt) => {
    using reference = await Reference.load(folder, "float16");
    const golden = await Checkpoint.open(goldenFolder, { file: "golden.safetensors" });
    const pixels = await goldenPixels(golden, key, prompt.pictures.length);
    if (pixels.length > 0) {
      const features = await Promise.all(pixels.map((values) => reference.features(values)));
      const together = Float32Array.from(features.flatMap((values) => [...values]));
      expect(relativeDifference(together, await golden.read(`${key}.features`))).toBeLessThan(1e-2);
    }
    const expected = await golden.read(`${key}.logits`);
    const { logits, greedy } = await reference.answer(prompt, pixels, 1024);
    expect(relativeDifference(logits, expected)).toBeLessThan(2e-2);
    if (folder !== SHIPPED) return;
    // The trained model decides clearly; logits of the random ones lie closer together than float16 tells them apart.
    expect(largestDifference(logits, expected)).toBeLessThan(2e-2);
    expect(greedy).toEqual(prompt.greedy);
  });
});
