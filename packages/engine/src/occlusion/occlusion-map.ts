/**
 * How much a word of an answer owes to each part of an image: parts are painted over one after another before the vision
 * tower sees them, and the model is asked how likely it still finds the word. Nothing is sampled.
 */
import type { OcclusionEvent, OcclusionRequest } from "@llava/backend";
import { boxInImage, boxInSquare, placeImage, type PreparedImage } from "@llava/processing";
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
} from "./image-groups.ts";
import type { WordTokens } from "./occlusion-prompt.ts";
import { expand, pixelsKey, pixelsOf, requireImages } from "../prepare/prepare.ts";
import type { Prompt } from "../scheduler/sequence.ts";

/** How a map's runs are done. */
export interface Scoring {
  /** Logarithm of the probability that `tokens` follow the prompt. */
  readonly score: (prompt: Prompt, tokens: readonly number[]) => Promise<number>;
  /** Leave to do the next runs, for as long as it is held. */
  readonly turn: () => Promise<Disposable>;
  /** In one turn. */
  readonly runsAtOnce: number;
}

/** @throws LlavaErrors `invalid_request`, `image_count_mismatch` before anything is decoded */
export function requireMappable(
  { description }: ModelFolder,
  { images, image, cells }: OcclusionRequest,
  { before, tokens }: WordTokens,
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
  const { contextLength } = description.text;
  const length = before.length + images.length * (description.vision.tokensPerImage - 1) + tokens.length;
  if (length > contextLength) {
    throw new LlavaError(
      "context_length_exceeded",
      `The conversation up to the word has ${length} tokens, but the model's context holds ${contextLength}. Choose an earlier answer.`,
      { param: "messages" },
    );
  }
}

/** @param images what the tower sees of the request's images */
export async function* computeMap(
  model: ModelFolder,
  { image: index, cells, shapes }: OcclusionRequest,
  { before, tokens }: WordTokens,
  images: readonly PreparedImage[],
  { score, turn, runsAtOnce }: Scoring,
): AsyncGenerator<OcclusionEvent, void, void> {
  const { description } = model;
  const prompt = expand(
    model,
    before,
    images.map(({ values }) => values),
  );
  const image = images[index];
  if (!image) throw new RangeError(`There is no image ${index}.`);
  const { size } = description.pixels;
  const placement = placeImage(image.width, image.height, pixelsOf(description, shapes, index));
  const shown = boxInSquare(image.width, image.height, placement);
  const patches = patchesOf(description);
  const grid = createGrid(cells ?? defaultCells(patches), patches, description.vision.patchSize);
  const windows = windowsOf(grid, shown);
  const colour = meanColour(image.values, size, shown);
  const painted = ({ box }: Window): Prompt =>
    withPixels(prompt, index, paintOver(image.values, size, box, colour));

  const total = windows.length + 1;
  yield { type: "progress", done: 0, total };
  const logprobs: number[] = [];
  // The first run alone: what it leaves in the cache, the others find there.
  for (let next = 0; next < total;) {
    const count = next === 0 ? 1 : runsAtOnce;
    using _leave = await turn();
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
  const edges = grid.edges.map((edge) => edge / size);
  const { width, height } = image;
  yield { type: "map", map: { values, edges, logprob, box: boxInImage(placement), width, height } };
}

function withPixels(prompt: Prompt, index: number, pixels: Float32Array): Prompt {
  const images = prompt.images.map((image, i) =>
    i === index ? { ...image, pixels, key: pixelsKey(pixels), isMasked: true } : image,
  );
  return { ids: prompt.ids, images };
}

/** Along an edge of the tower's square. */
function patchesOf({ vision }: ModelFolder["description"]): number {
  return Math.floor(vision.imageSize / vision.patchSize);
}
