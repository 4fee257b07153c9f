/** The family registry finds the code of an architecture by its name, one table for each part of a LLaVA. */
import type {
  ProjectorDescription,
  TextDescription,
  VisionDescription,
} from "../description/model-description.ts";
import { unsupported } from "../description/config-fields.ts";
import type { Tensor } from "@llava/onnx";
import type { Operations } from "../operations/operations.ts";
import { linear } from "../projector/linear.ts";
import { mlp2xGelu } from "../projector/mlp.ts";
import type { ProjectorFamily } from "../projector/projector-family.ts";
import { llama } from "../text/llama.ts";
import { mistral } from "../text/mistral.ts";
import { qwen2 } from "../text/qwen2.ts";
import type { DecoderInputs, TextFamily } from "../text/text-family.ts";
import { clip } from "../vision/clip.ts";
import type { VisionFamily } from "../vision/vision-family.ts";

/** By model_type of text_config. */
const TEXT: ReadonlyMap<string, TextFamily> = new Map([
  ["llama", llama],
  ["mistral", mistral],
  ["qwen2", qwen2],
]);
/** By model_type of vision_config. */
const VISION: ReadonlyMap<string, VisionFamily> = new Map([["clip_vision_model", clip]]);
/** By LLaVA's mm_projector_type. */
const PROJECTOR: ReadonlyMap<string, ProjectorFamily> = new Map([
  ["linear", linear],
  ["mlp2x_gelu", mlp2xGelu],
]);

/** Throws `unsupported_model`, with the names that there are, for any other. */
export function textFamily(name: string): TextFamily {
  return find(TEXT, "language model", name);
}

/** Throws as `textFamily`. */
export function visionFamily(name: string): VisionFamily {
  return find(VISION, "vision tower", name);
}

/** Throws as `textFamily`. */
export function projectorFamily(name: string): ProjectorFamily {
  return find(PROJECTOR, "projector", name);
}

/** Logits [n, vocabulary] float32 for the rows asked for. */
export function languageModel(ops: Operations, text: TextDescription, inputs: DecoderInputs): Tensor {
  return textFamily(text.family).buildGraph(ops, text, inputs);
}

/** pixels [batch, 3, imageSize, imageSize] → features [batch, tokensPerImage, vision hidden]. */
export function visionTower(ops: Operations, vision: VisionDescription, pixels: Tensor): Tensor {
  return visionFamily(vision.family).buildGraph(ops, vision, pixels);
}

/** features [batch, tokens, vision hidden] → [batch, tokens, language hidden]. */
export function projector(ops: Operations, joint: ProjectorDescription, features: Tensor): Tensor {
  return projectorFamily(joint.family).buildGraph(ops, joint, features);
}

function find<T>(families: ReadonlyMap<string, T>, part: string, name: string): T {
  const family = families.get(name);
  if (family !== undefined) return family;
  const names = [...families.keys()].map((known) => `"${known}"`).join(", ");
  throw unsupported(`its ${part} is "${name}"`, `take a model whose ${part} is one of ${names}`);
}
