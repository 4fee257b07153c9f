import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openModelFolder } from "./model-folder.ts";

const golden = new URL("../../../processing/test/golden/", import.meta.url);
const config = {
  model_type: "llava",
  text_config: {
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    vocab_size: 448,
  },
  vision_config: {
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    image_size: 96,
    patch_size: 12,
  },
  image_token_index: 420,
};

let root = "";
let count = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "llava-model-"));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

/** A whole folder; `changes` replaces files, null leaves one out. */
async function folder(name: string, changes: Record<string, unknown> = {}): Promise<string> {
  const path = join(root, String(count++), name);
  await mkdir(path, { recursive: true });
  await cp(new URL("llama-tokenizer.json", golden), join(path, "tokenizer.json"));
  const files: Record<string, unknown> = {
    "config.json": config,
    "tokenizer_config.json": { bos_token: "<s>", eos_token: "</s>" },
    "preprocessor_config.json": { size: { shortest_edge: 96 }, crop_size: 96 },
    ...changes,
  };
  for (const [file, content] of Object.entries(files)) {
    if (content === null) await rm(join(path, file), { force: true });
    else await writeFile(join(path, file), typeof content === "string" ? content : JSON.stringify(content));
  }
  return path;
}

test("a folder becomes a description, a tokenizer and a card", async () => {
  const path = await folder("llava-v1.5-tiny", {
    "README.md": "# Tiny\n",
    "generation_config.json": { eos_token_id: [2, 7] },
  });
  const model = await openModelFolder(path);
  expect(model.folder).toBe(path);
  expect(model.weights.map(({ folder }) => folder)).toEqual([path]);
  expect(model.weights[0]?.tensorName("lm_head.weight")).toBe("language_model.lm_head.weight");
  expect(model.description).toMatchObject({
    name: "llava-v1.5-tiny",
    conversation: "llava_v1",
    imageTokenId: 420,
    vision: { tokensPerImage: 64, layersToRun: 1 },
    text: { headSize: 16, eosTokenIds: [2, 7] },
    pixels: { size: 96, shape: "crop" },
  });
  expect(model.description).not.toHaveProperty("imageAspectRatio");
  expect(model.tokenizer.encodePrompt("<image>")).toEqual([1, -200]);
  expect(model.card).toBe("# Tiny\n");
});

test("without README.md there is no card", async () => {
  expect((await openModelFolder(await folder("llava-v1"))).card).toBeNull();
});

describe("the conversation template", () => {
  test("of config.json goes before the name's, an option before both", async () => {
    const path = await folder("llava-v1.5-tiny", {
      "config.json": { ...config, conversation_template: "llava_demo" },
    });
    expect((await openModelFolder(path)).description.conversation).toBe("llava_demo");
    const chosen = await openModelFolder(path, { conversation: "mpt" });
    expect(chosen.description.conversation).toBe("mpt");
    await expect(openModelFolder(path, { conversation: "nonsense" })).rejects.toThrow(
      /no conversation template "nonsense"/,
    );
  });
});

describe("the shape of images", () => {
  test("of config.json goes before the preprocessor's, an option before both", async () => {
    const path = await folder("llava-v1", { "config.json": { ...config, image_aspect_ratio: "pad" } });
    expect((await openModelFolder(path)).description.pixels.shape).toBe("pad");
    const chosen = await openModelFolder(path, { imageAspectRatio: "crop" });
    expect(chosen.description.pixels.shape).toBe("crop");
  });

  test("anyres is refused by name", async () => {
    const path = await folder("llava-v1", { "config.json": { ...config, image_aspect_ratio: "anyres" } });
    await expect(openModelFolder(path)).rejects.toMatchObject({
      code: "unsupported_model",
      message: expect.stringContaining('"anyres"') as string,
    });
  });

  test("is also read from the newer processor_config.json", async () => {
    const path = await folder("llava-v1", {
      "preprocessor_config.json": null,
      "processor_config.json": {
        image_processor: { do_pad: true, size: { shortest_edge: 96 }, crop_size: 96 },
      },
    });
    expect((await openModelFolder(path)).description.pixels.shape).toBe("pad");
  });
});

describe("a bad folder is refused with a sentence", () => {
  test.each([
    ["no config.json", { "config.json": null }, /no usable config\.json\. A model folder holds/],
    [
      "config.json of NaN",
      { "config.json": '{"model_type":"llava","x":NaN}' },
      /config\.json in .* is not valid JSON/,
    ],
    ["config.json cut off", { "config.json": '{"model_type":"lla' }, /is not valid JSON/],
    ["empty config.json", { "config.json": "" }, /is not valid JSON/],
    ["config.json of null", { "config.json": "null" }, /no usable config\.json/],
    [
      "no tokenizer.json",
      { "tokenizer.json": null },
      /no usable tokenizer\.json\. If there is a tokenizer\.model/,
    ],
    ["no tokenizer_config.json", { "tokenizer_config.json": null }, /no usable tokenizer_config\.json/],
    [
      "no preprocessor_config.json",
      { "preprocessor_config.json": null },
      /no usable preprocessor_config\.json\. It says how/,
    ],
    [
      "an endless config.json",
      { "config.json": " ".repeat(5e6) },
      /5000000 bytes long; such a file has at most/,
    ],
    [
      "a tokenizer with more ids than the model has rows",
      { "config.json": { ...config, text_config: { ...config.text_config, vocab_size: 421 } } },
      /ids up to 421, but config\.json gives the model 421 embeddings/,
    ],
  ])("%s", async (_, changes, expected) => {
    const error: unknown = await openModelFolder(await folder("llava-v1", changes)).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ name: "LlavaError", code: "invalid_checkpoint" });
    expect(error instanceof Error ? error.message : "").toMatch(expected);
  });

  test("a folder in place of a file", async () => {
    const path = await folder("llava-v1", { "config.json": null });
    await mkdir(join(path, "config.json"));
    await expect(openModelFolder(path)).rejects.toThrow(/cannot be read\. Check that it is a plain file/);
  });

  test("no folder, or a file in its place", async () => {
    await expect(openModelFolder(join(root, "nowhere"))).rejects.toMatchObject({ code: "model_not_found" });
    const path = await folder("llava-v1");
    await expect(openModelFolder(join(path, "config.json"))).rejects.toThrow(/is a file, not a folder/);
  });
});
