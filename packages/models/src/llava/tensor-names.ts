/**
 * Tensor names of Hugging Face's LLaVA checkpoints, across versions of transformers. Our own names are those of the
 * versions up to 4.51, which nearly all published files use.
 */

/** Prefixes of 4.52 and later, whose files may use the names that the models have in memory there. */
const PREFIXES: readonly (readonly [stored: string, canonical: string])[] = [
  ["model.language_model.", "language_model.model."],
  ["lm_head.", "language_model.lm_head."],
  ["model.vision_tower.", "vision_tower."],
  ["model.multi_modal_projector.", "multi_modal_projector."],
  ["model.image_newline", "image_newline"],
];

const TOWER = "vision_tower.";
const TOWER_MODEL = "vision_tower.vision_model.";

/** The canonical name of a stored tensor; a name of neither layout stays as it is. */
export function canonicalTensorName(stored: string): string {
  const rule = PREFIXES.find(([prefix]) => stored.startsWith(prefix));
  const name = rule === undefined ? stored : rule[1] + stored.slice(rule[0].length);
  // Version 5 has no level between the tower and its parts.
  if (name.startsWith(TOWER) && !name.startsWith(TOWER_MODEL)) return TOWER_MODEL + name.slice(TOWER.length);
  return name;
}
