/** Declares which model a program loads and how: for a worker, for `serve`, which starts workers, and for `chat`. */
import type { OptionRows } from "./option-row.ts";
import { choice, device, text, whole } from "./value-readers.ts";

const NO_BASE =
  "LoRA and projector-only checkpoints cannot be put on a base model yet. Merge them first and give the merged folder to --model-path";

export const MODEL_ROWS = {
  modelPath: {
    flags: "--model-path <folder>",
    help: "folder of a LLaVA checkpoint in Hugging Face layout",
    reader: text,
    programs: {
      worker: { isRequired: true },
      serve: {
        several: {},
        help: "folder of a LLaVA checkpoint; repeat for several models (default: the demo model)",
      },
      chat: { help: "folder of a LLaVA checkpoint (default: the demo model)" },
      doctor: { help: "folder of a LLaVA checkpoint to look at (default: the demo model)" },
    },
  },
  modelName: {
    flags: "--model-name <name>",
    help: "name to serve it under (default: from the folder's name)",
    reader: text,
    programs: {
      worker: {},
      serve: { several: {}, help: "name to serve it under; one for each model (default: the folder's)" },
    },
  },
  modelBase: {
    flags: "--model-base <path>",
    help: "folder of the model that a LoRA or a projector was trained on",
    reader: text,
    programs: { worker: { refused: NO_BASE }, serve: { refused: NO_BASE }, chat: { refused: NO_BASE } },
  },
  device: {
    flags: "--device <device>",
    help: "cpu, cuda, cuda:N or webgpu",
    reader: device,
    programs: {
      worker: { default: "cpu" },
      serve: { passedTo: ["worker"] },
      chat: { default: "cpu" },
      doctor: { help: "the device that must be there: cpu, cuda, cuda:N or webgpu" },
    },
  },
  convMode: {
    flags: "--conversation, --conv-mode <template>",
    help: "conversation template (default: the model's own)",
    reader: text,
    programs: { worker: {}, serve: { passedTo: ["worker"] }, chat: {} },
  },
  threads: {
    flags: "--threads <number>",
    help: "CPU threads (default: the physical cores)",
    reader: whole(1, 1024),
    programs: { worker: {}, serve: { passedTo: ["worker"] }, chat: {} },
  },
  dtype: {
    flags: "--dtype <type>",
    help: "weights: float32 (fastest), float16 (half the memory, slow), int8, int4 (an eighth, fast)",
    reader: choice(["float32", "float16", "int8", "int4"]),
    group: "dtype",
    programs: {
      worker: { default: "float32" },
      serve: { passedTo: ["worker"] },
      chat: { default: "float32" },
      doctor: { default: "float32", help: "weights that the memory must be enough for" },
    },
  },
  load8bit: {
    flags: "--load-8bit",
    help: "the same as --dtype int8; quantized once, then kept in the cache",
    group: "dtype",
    implies: { dtype: "int8" },
    programs: { worker: {}, serve: {}, chat: {}, doctor: {} },
  },
  load4bit: {
    flags: "--load-4bit",
    help: "the same as --dtype int4; quantized once, then kept in the cache",
    group: "dtype",
    implies: { dtype: "int4" },
    programs: { worker: {}, serve: {}, chat: {}, doctor: {} },
  },
  computeType: {
    flags: "--compute-type <type>",
    help: "activations and KV cache: float32, float16 or bfloat16 (default: float32; float16 with cuda)",
    reader: choice(["float32", "float16", "bfloat16"]),
    programs: { worker: {}, serve: { passedTo: ["worker"] }, chat: {}, doctor: {} },
  },
  quantizeVision: {
    flags: "--quantize-vision",
    help: "with int8 and int4: the vision tower, too",
    programs: { worker: {}, serve: { passedTo: ["worker"] }, chat: {}, doctor: {} },
  },
} as const satisfies OptionRows;
