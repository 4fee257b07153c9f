/** A shard index (model.safetensors.index.json) lists which file of a sharded checkpoint holds which tensor. */
import { damaged, quoted } from "../tensors/damaged.ts";
import { isJsonObject, parseFileJson } from "./safetensors-json.ts";
import { MAX_TENSORS } from "../tensors/tensor-entry.ts";

/** Stored tensor name to bare file name. */
export type ShardIndex = ReadonlyMap<string, string>;

/** The largest published checkpoints have a few hundred. */
const MAX_SHARDS = 1000;
/** No separator, no leading dot: such a name cannot leave the folder. */
const BARE_FILE_NAME = /^\w[\w.-]{0,200}\.safetensors$/;

/** `path` is for sentences only. Throws `invalid_checkpoint`. */
export function parseShardIndex(path: string, text: string): ShardIndex {
  const shards = new Map<string, string>();
  for (const [name, file] of Object.entries(weightMap(path, text))) {
    if (typeof file !== "string" || !BARE_FILE_NAME.test(file)) {
      const found = typeof file === "string" ? quoted(file) : "no text";
      throw damaged(
        path,
        `it puts tensor ${quoted(name)} into ${found}, which is not the name of a safetensors file`,
      );
    }
    shards.set(name, file);
  }
  const files = new Set(shards.values()).size;
  if (shards.size === 0) throw damaged(path, "its weight_map is empty");
  if (shards.size > MAX_TENSORS) throw damaged(path, `it lists more than ${MAX_TENSORS} tensors`);
  if (files > MAX_SHARDS) throw damaged(path, `it lists ${files} files; at most ${MAX_SHARDS} are read`);
  return shards;
}

function weightMap(path: string, text: string): Readonly<Record<string, unknown>> {
  const index = parseFileJson(path, "it", text);
  if (isJsonObject(index) && isJsonObject(index["weight_map"])) return index["weight_map"];
  throw damaged(path, "it has no object weight_map");
}
