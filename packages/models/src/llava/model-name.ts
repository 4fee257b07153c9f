/** A model's name is made from its path by LLaVA's rule, on which clients and template tables rely. */

/**
 * The last part of the path, or the last two joined by "_" when the last is a training checkpoint
 * ("/a/b/checkpoint-500/" is "b_checkpoint-500"). This is get_model_name_from_path of
 * LLaVA's llava/mm_utils.py, which takes "/" only; here "\" divides too, for Windows.
 */
export function modelNameFromPath(path: string): string {
  const parts = path.split(/[\\/]+/).filter((part) => part !== "");
  const last = parts.at(-1) ?? "";
  const parent = parts.at(-2);
  return last.startsWith("checkpoint-") && parent !== undefined ? `${parent}_${last}` : last;
}
