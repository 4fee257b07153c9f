/**
 * Computes how much a word of an answer owes to each part of an image: parts are painted over one after another before the
 * vision tower sees them, and the model is asked how likely it still finds the word. Nothing is sampled.
 */
import type { OcclusionEvent, OcclusionRequest } from "@llava/backend";
import { boxInImage, type ImagePlan, imageInSquare } from "@llava/processing";
import { type ModelFolder } from "@llava/models";
import { LlavaError } from "@llava/protocol";
import {
  averageDrops,
  createGrid,
  defaultCells,
  MAX_CELLS,
  meanColour,
  MIN_CELLS,
  paintOver,
  type Window,
  windowsOf,
} from "./occlusion-grid.ts";
import type { WordTokens } from "./occlusion-prompt.ts";
import { expandPrompt, imageKey, requireImages, type TiledImage } from "../prepare/prompt-images.ts";
import { countImageTokens } from "../prepare/token-limits.ts";
import type { Prompt } from "../scheduler/sequence.ts";

/** The means to do a map's runs. */
export interface Scoring {
  /** Logarithm of the probability that `tokens` follow the prompt. */
  readonly score: (prompt: Prompt, tokens: readonly number[]) => Promise<number>;
  /** Permission to do the next runs, for as long as it is held. */
  readonly turn: () => Promise<Disposable>;
  /** Runs of one turn. */
  readonly runsAtOnce: number;
}

/** @throws LlavaErrors `invalid_request`, `image_count_mismatch` before any image is read */
export function requireMappable(
  { description }: ModelFolder,
  { images, image, cells }: OcclusionRequest,
  { before }: WordTokens,
): void {
  requireImages(before, images.length);
  if (!Number.isInteger(image) || image < 0 || image >= images.length) {
    throw new LlavaError(
      "invalid_request",
      `There is no image ${image}: the conversation shows ${images.length}, counted from 0.`,
      { param: "image" },
    );
  }
  const most = Math.min(MAX_CELLS, patchesOf(description));
  if (cells !== undefined && !(Number.isInteger(cells) && cells >= MIN_CELLS && cells <= most)) {
    throw new LlavaError(
      "invalid_request",
      `cells is ${cells}, but it must be a whole number from ${MIN_CELLS} to ${most}.`,
      { param: "cells" },
    );
  }
}

/** @throws LlavaError `context_length_exceeded`, before any image is decoded */
export function requireRoom(
  { description }: ModelFolder,
  { before, tokens }: WordTokens,
  plans: readonly ImagePlan[],
): void {
  const { contextLength } = description.text;
  const length = before.length - plans.length + countImageTokens(plans) + tokens.length;
  if (length <= contextLength) return;
  throw new LlavaError(
    "context_length_exceeded",
    `The conversation up to the word has ${length} tokens, but the model's context holds ${contextLength}. Choose an earlier answer.`,
    { param: "messages" },
  );
}

/** @param images the request's images as the tower sees them */
export async function* computeMap(
  model: ModelFolder,
  { image: index, cells }: OcclusionRequest,
  { before, tokens }: WordTokens,
  images: readonly TiledImage[],
  { score, turn, runsAtOnce }: Scoring,
): AsyncGenerator<OcclusionEvent, void, void> {
  const { description } = model;
  const prompt = expandPrompt(description, before, images);
  const image = images[index];
  const tile = image?.plan.tiles[0];
  if (!image || !tile) throw new RangeError(`There is no image ${index}.`);
  const { width, height } = image.plan.image;
  const shown = imageInSquare({ width, height }, tile);
  const patches = patchesOf(description);
  const grid = createGrid(cells ?? defaultCells(patches), patches, description.vision.patchSize);
  const windows = windowsOf(grid, shown);
  const colour = meanColour(image.pixels, tile.size, shown);
  const painted = ({ box }: Window): Prompt =>
    withPixels(prompt, index, paintOver(image.pixels, image.plan.tiles, box, colour));

  const total = windows.length + 1;
  yield { type: "progress", done: 0, total };
  const logprobs: number[] = [];
  // The first run alone: the others find in the cache what it leaves there.
  for (let next = 0; next < total;) {
    const count = next === 0 ? 1 : runsAtOnce;
    using _permission = await turn();
    const prompts = next === 0 ? [prompt] : windows.slice(next - 1, next - 1 + count).map(painted);
    logprobs.push(...(await Promise.all(prompts.map(async (each) => await score(each, tokens)))));
    next += prompts.length;
    yield { type: "progress", done: next, total };
  }
  const [logprob = 0, ...others] = logprobs;
  const values = averageDrops(
    grid,
    shown,
    windows,
    others.map((other) => logprob - other),
  );
  const edges = grid.edges.map((edge) => edge / tile.size);
  yield { type: "map", map: { values, edges, logprob, box: boxInImage(tile), width, height } };
}

function withPixels(prompt: Prompt, index: number, pixels: Float32Array): Prompt {
  const images = prompt.images.map((image, i) =>
    i === index ? { ...image, pixels, key: imageKey({ plan: image.plan, pixels }), isMasked: true } : image,
  );
  return { ids: prompt.ids, images };
}

/** Number of patches along an edge of the tower's square. */
function patchesOf({ vision }: ModelFolder["description"]): number {
  return Math.floor(vision.imageSize / vision.patchSize);
}
