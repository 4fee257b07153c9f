/** Writes the trained parameters as a Hugging Face folder: config, weights in float16, tokenizer, preprocessor. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { writeSafetensors } from "@llava/checkpoint";
import { LlavaError } from "@llava/protocol";
import { hostArray, type TrainingState } from "@llava/training";
import { DEMO_CONFIG, PIXEL_MEAN, PIXEL_STD } from "./model/demo-model.ts";
import { demoTokenizer } from "./phases.ts";
import { writeTokenizer } from "./text/demo-tokenizer.ts";

/** Prefix of the heads that pre-train the tower, which are no part of the model. */
const HEADS = "tower_heads.";
/** A norm that Hugging Face's CLIP has after the tower and LLaVA never uses; without it loading prints a warning. */
const POST_NORM = "vision_tower.vision_model.post_layernorm";

/** An image is resized to the size that the model sees; one that is not square is padded, as in LLaVA 1.5. */
const PREPROCESSOR_CONFIG = {
  image_processor_type: "LlavaImageProcessor",
  processor_class: "LlavaProcessor",
  do_convert_rgb: true,
  do_pad: true,
  do_resize: true,
  do_center_crop: true,
  do_rescale: true,
  do_normalize: true,
  resample: 3,
  size: { shortest_edge: DEMO_CONFIG.vision_config.image_size },
  crop_size: { height: DEMO_CONFIG.vision_config.image_size, width: DEMO_CONFIG.vision_config.image_size },
  rescale_factor: 1 / 255,
  image_mean: PIXEL_MEAN,
  image_std: PIXEL_STD,
};

const PROCESSOR_CONFIG = {
  processor_class: "LlavaProcessor",
  image_token: "<image>",
  patch_size: DEMO_CONFIG.vision_config.patch_size,
  vision_feature_select_strategy: DEMO_CONFIG.vision_feature_select_strategy,
  num_additional_image_tokens: 1,
};

const GENERATION_CONFIG = {
  bos_token_id: DEMO_CONFIG.text_config.bos_token_id,
  eos_token_id: DEMO_CONFIG.text_config.eos_token_id,
  pad_token_id: DEMO_CONFIG.text_config.pad_token_id,
  do_sample: false,
};

/** Writes everything but the model card, which scripts/demo/eval-demo.ts writes. The folder is made if it is missing. */
export async function exportDemo(state: TrainingState, folder: string): Promise<void> {
  const tensors = await Promise.all(
    [...state.parameters]
      .filter(([name]) => !name.startsWith(HEADS))
      .map(async ([name, value]) => {
        return { name, dtype: "F16" as const, shape: value.shape, data: await hostArray(value) };
      }),
  );
  if (tensors.length === 0)
    throw new LlavaError("invalid_checkpoint", "The training state is empty; train first.");
  const width = DEMO_CONFIG.vision_config.hidden_size;
  const postNorm = [
    {
      name: `${POST_NORM}.weight`,
      dtype: "F16" as const,
      shape: [width],
      data: new Float32Array(width).fill(1),
    },
    { name: `${POST_NORM}.bias`, dtype: "F16" as const, shape: [width], data: new Float32Array(width) },
  ];
  await mkdir(folder, { recursive: true });
  await writeSafetensors(path.join(folder, "model.safetensors"), [...tensors, ...postNorm], { format: "pt" });
  await writeTokenizer(folder, demoTokenizer());
  const files = {
    "config.json": DEMO_CONFIG,
    "preprocessor_config.json": PREPROCESSOR_CONFIG,
    "processor_config.json": PROCESSOR_CONFIG,
    "generation_config.json": GENERATION_CONFIG,
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
  }
}
