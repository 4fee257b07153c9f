/** The import table lists which package may import which, and the order of the folders inside each. */

/** The packages of ours that a workspace may import, by the names of their folders; with a path, only that part of one. */
export const PACKAGE_TABLE: Readonly<Record<string, readonly string[]>> = {
  "packages/protocol": [],
  "packages/onnx": [],
  "packages/runtime": [],
  "packages/server": ["protocol"],
  "packages/testing": ["protocol", "server"],
  "packages/processing": ["protocol"],
  "packages/checkpoint": ["protocol"],
  "packages/models": ["protocol", "onnx", "processing"],
  "packages/engine": ["protocol", "runtime", "checkpoint", "models", "processing"],
  "packages/training": ["protocol", "onnx", "runtime", "checkpoint"],
  "packages/demo": ["protocol", "onnx", "checkpoint", "models", "training"],
  "apps/controller": ["protocol", "server"],
  "apps/web": ["protocol", "server", "demo/scenes", "processing/view"],
  "apps/worker": ["protocol", "server", "engine", "models", "processing"],
  "apps/cli": ["protocol", "server", "engine", "runtime", "checkpoint", "models", "processing"],
};

/** The files that lie directly in a source folder: entry points, which may import every folder and are imported by none. */
export const ROOT_LAYER = ".";

/**
 * The folders of a source tree from the lowest to the highest: a file may import from its own folder and from those
 * listed before it. A folder stands for its subfolders, unless those have a place of their own.
 */
export const FOLDER_ORDER: Readonly<Record<string, readonly string[]>> = {
  "packages/protocol/src": ["codec", "cluster", "openai", "llava", "page", "extensions"],
  "packages/onnx/src": ["tensor", "proto", "graph", "operators"],
  "packages/runtime/src": ["native", "device", "session"],
  "packages/checkpoint/src": ["tensors", "cache", "safetensors", "source", "quantize"],
  "packages/models/src": [
    "description",
    "operations",
    "text",
    "vision",
    "projector",
    "registry",
    "operations/serving",
    "llava",
  ],
  "packages/training/src": ["data", "optimizer", "state", "loop"],
  "packages/demo/src": [
    "scenes/drawing",
    "scenes/questions",
    "scenes",
    "evaluation",
    "recipe/model",
    "recipe/vision",
    "recipe/text",
    "recipe",
  ],
  "packages/processing/src": ["files", "text", "image", "image/decode"],
  "apps/web/src": [
    "server/upstream",
    "server/log",
    "server/page",
    "server",
    "browser/styles",
    "browser/ui",
    "browser/services/store",
    "browser/services/wire",
    "browser/images/worker",
    "browser/images",
    "browser/markdown",
    "browser/state/models",
    "browser/state/chat",
    "browser/state",
    "browser/features/scenes",
    "browser/features/attachments",
    "browser/features/explain",
    "browser/features/chat",
    "browser/features/compare",
    "browser/features/cluster",
    "browser/features/shell",
    "browser",
  ],
};
