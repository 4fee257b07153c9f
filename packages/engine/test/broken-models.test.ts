/** Model folders that cannot be served: loading says why in a sentence, holds nothing back, and never crashes. */
import { rm, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { Engine, type EngineOptions } from "../src/index.ts";
import type { ErrorCode } from "@llava/protocol";
import { RuntimeError, Session } from "@llava/runtime";
import { expect, it, vi } from "vitest";
import { Decoder } from "../src/runner/decoder.ts";
import { VisionEncoder } from "../src/runner/vision-encoder.ts";
import { MODEL, ModelCopy, read, readError } from "./engine-fixtures.ts";

async function expectUnservable(
  folder: string,
  code: ErrorCode,
  words: readonly string[],
  options: EngineOptions = {},
): Promise<void> {
  const loading = Engine.load(folder, { threads: 1, ...options });
  await expect(loading).rejects.toMatchObject({ name: "LlavaError", code });
  const { message } = (await loading.catch((error: unknown) => error)) as Error;
  for (const word of words) expect(message).toContain(word);
  expect(message).toMatch(/[.)]$/);
}

type Header = Record<string, { dtype?: unknown; shape?: unknown; data_offsets?: unknown }>;
const Q_PROJ = /language_model.*layers\.0\.self_attn\.q_proj\.weight$/;
const CLIP_Q_PROJ = /vision.*layers\.0\.self_attn\.q_proj\.weight$/;

/** Changes one tensor's entry in the weights' header. */
async function spoil(
  copy: ModelCopy,
  name: RegExp,
  change: (entry: Header[string], header: Header, key: string) => void,
): Promise<void> {
  await copy.editWeights((content) => {
    const header = content as Header;
    const key = Object.keys(header).find((candidate) => name.test(candidate)) ?? "";
    const entry = header[key];
    if (!entry) throw new Error(`No tensor ${name}.`);
    change(entry, header, key);
  });
}

it("no folder, no configuration, no weights", async () => {
  await expectUnservable(path.join(MODEL, "nowhere"), "model_not_found", ["nowhere"]);
  await using copy = await ModelCopy.make();
  await rm(path.join(copy.folder, "model.safetensors"));
  await expectUnservable(copy.folder, "invalid_checkpoint", ["model.safetensors"]);
  await rm(path.join(copy.folder, "config.json"));
  await expectUnservable(copy.folder, "invalid_checkpoint", ["config.json"]);
});

it.each([
  ["overlap", [0, 8192]],
  ["point outside the file", [1e12, 1e12 + 8192]],
  ["are negative", [-8192, 0]],
])("weights whose offsets %s", async (_, offsets) => {
  await using copy = await ModelCopy.make();
  await spoil(copy, Q_PROJ, (entry) => (entry.data_offsets = offsets));
  await expectUnservable(copy.folder, "invalid_checkpoint", ["model.safetensors"]);
});

it("weights that are cut off", async () => {
  await using copy = await ModelCopy.make();
  await truncate(path.join(copy.folder, "model.safetensors"), 100_000);
  await expectUnservable(copy.folder, "invalid_checkpoint", ["model.safetensors"]);
});

it("a weight that is missing, in either half, is told before any session is made", async () => {
  const load = vi.spyOn(Session, "load");
  for (const name of [Q_PROJ, CLIP_Q_PROJ]) {
    await using copy = await ModelCopy.make();
    await spoil(copy, name, (entry, header, key) => {
      delete header[key];
      header["spare"] = entry;
    });
    await expectUnservable(copy.folder, "invalid_checkpoint", [
      "self_attn.q_proj.weight",
      "copy the whole folder",
    ]);
  }
  expect(load).not.toHaveBeenCalled();
  load.mockRestore();
});

it("a language model that cannot be loaded leaves no vision encoder behind", async () => {
  const encoders = vi.spyOn(VisionEncoder, "load");
  const decoders = vi.spyOn(Decoder, "load").mockRejectedValueOnce(new Error("no"));
  await expect(Engine.load(MODEL, { threads: 1 })).rejects.toThrow("cannot be served: no");
  decoders.mockRestore();
  const encoder = (await encoders.mock.results[0]?.value) as VisionEncoder;
  encoders.mockRestore();
  const pixels = new Float32Array(3 * 28 * 28);
  await expect(encoder.encode([pixels], new AbortController().signal)).rejects.toThrow("disposed");
});

it("a weight of another shape than the configuration says", async () => {
  await using copy = await ModelCopy.make();
  await copy.editJson("config.json", (config) => {
    (config["text_config"] as Record<string, unknown>)["intermediate_size"] = 96;
  });
  await expectUnservable(copy.folder, "invalid_checkpoint", [
    "mlp.",
    "[64, 64]",
    "[96, 64]",
    "copy the whole folder",
  ]);
});

it("a weight of a type that cannot be served", async () => {
  await using copy = await ModelCopy.make();
  // As many bytes as before: twice the columns of one byte each.
  await spoil(copy, Q_PROJ, (entry) => Object.assign(entry, { dtype: "F8_E4M3", shape: [64, 128] }));
  await expectUnservable(copy.folder, "invalid_checkpoint", ["q_proj"]);
  await spoil(copy, Q_PROJ, (entry) => Object.assign(entry, { dtype: "I16", shape: [64, 64] }));
  await expectUnservable(copy.folder, "unsupported_model", [
    "q_proj.weight is stored as I16",
    "Take the float16",
  ]);
});

it.each([
  ["hidden_size", 1e9],
  ["num_hidden_layers", 1e6],
  ["num_attention_heads", 0],
  ["vocab_size", -1],
  ["max_position_embeddings", 1e300],
  ["rope_theta", 0],
])("a configuration with an absurd text_config.%s", async (key, value) => {
  await using copy = await ModelCopy.make();
  await copy.editJson("config.json", (config) => {
    (config["text_config"] as Record<string, unknown>)[key] = value;
  });
  await expectUnservable(copy.folder, "invalid_checkpoint", ["config.json", key]);
});

it("a configuration with an absurd image", async () => {
  await using copy = await ModelCopy.make();
  await copy.editJson("config.json", (config) => {
    Object.assign(config["vision_config"] as object, { image_size: 1344, patch_size: 4 });
  });
  await expectUnservable(copy.folder, "invalid_checkpoint", []);
});

it("a context longer than any table of positions is served as far as one goes", async () => {
  await using copy = await ModelCopy.make();
  await copy.editJson("config.json", (config) => {
    (config["text_config"] as Record<string, unknown>)["max_position_embeddings"] = 16_777_216;
  });
  await using engine = await Engine.load(copy.folder, { threads: 1 });
  expect(engine.info.contextLength).toBe(131_072);
  const request = { prompt: "USER: Name a color. ASSISTANT:", images: [], temperature: 0, maxTokens: 3 };
  expect(await read(engine.generate(request))).toMatchObject({ end: { type: "finished" } });
});

it("weights that compute no numbers", async () => {
  await using copy = await ModelCopy.make();
  await copy.editJson("config.json", (config) => {
    // Divides the angles of the positions until they are infinite.
    (config["text_config"] as Record<string, unknown>)["rope_theta"] = 1e-300;
  });
  await using engine = await Engine.load(copy.folder, { threads: 1 });
  const error = await readError(
    engine.generate({ prompt: "USER: Hello ASSISTANT:", images: [], temperature: 0 }),
  );
  expect(error).toMatchObject({ code: "runtime_failure", message: expect.stringContaining("NaN") });
  expect(engine.occupancy).toMatchObject({ running: 0, waiting: 0 });
});

it("a README that is no text, and a folder that is a file", async () => {
  await using copy = await ModelCopy.make();
  const file = path.join(copy.folder, "file");
  await writeFile(file, "x");
  await expectUnservable(file, "model_not_found", [file]);
});

it.each<[EngineOptions, ErrorCode, string]>([
  [{ device: "tpu" }, "invalid_request", '"tpu" is not a device'],
  [{ threads: 0 }, "invalid_request", "threads is 0"],
  [{ threads: 1.5 }, "invalid_request", "threads is 1.5"],
  [{ maxWaiting: -1 }, "invalid_request", "maxWaiting is -1"],
  [{ maxWaiting: Number.NaN }, "invalid_request", "maxWaiting is NaN"],
  [{ conversation: "small_talk" }, "invalid_request", '"small_talk"'],
])("options %o", async (options, code, words) => {
  await expectUnservable(MODEL, code, [words], options);
});

it.runIf(process.platform === "linux")(
  "a device whose library is missing: the sentence says where to get it",
  async () => {
    await expectUnservable(
      MODEL,
      "runtime_failure",
      ["cuda:0", "Microsoft.ML.OnnxRuntime.Gpu.Linux", "NVIDIA driver"],
      {
        device: "cuda",
      },
    );
  },
);

it("progress is told in order, and a model is loaded with its sessions only", async () => {
  const load = vi.spyOn(Session, "load");
  const phases: string[] = [];
  const report = vi.fn<(done: number, total: number) => void>();
  await using engine = await Engine.load(MODEL, {
    threads: 1,
    onProgress: ({ phase, done, total }) => {
      phases.push(phase);
      report(done, total);
    },
  });
  expect(phases).toEqual(["configuration", "weights", "vision encoder", "language model", "ready"]);
  expect(report.mock.calls).toEqual([0, 1, 2, 3, 4].map((done) => [done, 4]));
  // The encoder, the decoder, and what moves the rows of its cache.
  expect(load).toHaveBeenCalledTimes(3);
  load.mockRestore();
  expect(engine.info).toMatchObject({ contextLength: 192, tokensPerImage: 16, card: null });
});

it("weights that are written into while they are served", async () => {
  await using copy = await ModelCopy.make();
  await using engine = await Engine.load(copy.folder, { threads: 1 });
  const request = { prompt: "USER: Hello ASSISTANT:", images: [], temperature: 0, maxTokens: 2 };
  await copy.editWeights(() => {});
  expect(await readError(engine.generate(request))).toMatchObject({
    code: "runtime_failure",
    message: expect.stringContaining("Restart the server"),
  });
});

it("memory that runs out ends one request and not the engine", async () => {
  await using engine = await Engine.load(MODEL, { threads: 1 });
  const reserve = vi.spyOn(Session.prototype, "allocate").mockImplementationOnce(() => {
    throw new RuntimeError("out_of_memory", "No memory for 4 GB.");
  });
  const request = { prompt: "USER: Hello ASSISTANT:", images: [], temperature: 0, maxTokens: 2 };
  expect(await readError(engine.generate(request))).toMatchObject({
    code: "out_of_memory",
    message: expect.stringContaining("4 GB"),
  });
  reserve.mockRestore();
  expect(engine.occupancy).toEqual({ running: 0, waiting: 0, slots: 8 });
  expect(await read(engine.generate(request))).toMatchObject({ end: { type: "finished" } });
});
