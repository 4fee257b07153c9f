/** The demo model's card: what it is, what it was measured to do, what it cannot do. The numbers come from eval-demo.ts. */
import { type Scores, type Tally, total, wilsonInterval } from "@llava/demo";

export interface Evaluation {
  readonly seen: Scores;
  readonly heldOut: Scores;
  readonly unseenWording: Scores;
  readonly blind: Scores;
}

/** As the model's own files have it. */
export interface Dimensions {
  readonly parameters: number;
  readonly visionLayers: number;
  readonly visionSize: number;
  readonly textLayers: number;
  readonly textSize: number;
}

export function modelCard(evaluation: Evaluation, dimensions: Dimensions): string {
  const { parameters, visionLayers, visionSize, textLayers, textSize } = dimensions;
  return `---
license: apache-2.0
language: en
pipeline_tag: image-text-to-text
library_name: transformers
---

# LLaVA demo

A small LLaVA that answers questions about drawings of shapes and characters.

It is a real one, small enough to ship with the project: a CLIP vision tower (${visionLayers} layers of ${visionSize}), a two-layer
projector and a Llama (${textLayers} layers of ${textSize}), ${(parameters / 1e6).toFixed(1)} million parameters in all, trained from nothing by the project's own
trainer. It loads in Hugging Face transformers unchanged.

## Limits

It was trained only on drawings that a program made and never saw a photograph, so its answers about one are guesses.

Images with up to five objects: circles, squares, triangles, stars, diamonds and crosses in eight colors, small or
large, solid or striped, and single letters and digits. Questions about color, shape, size, pattern, position, order
from left to right and top to bottom, counting, comparing, reading one character, and a description of the whole.
Questions about objects that are not there, other than "Is there …?", were not part of the training.

With the line \`Answer the question using a single word or phrase.\` after the question the answer is short, as in
LLaVA 1.5; without it, it is a sentence.

## How well

Generated answers of the shipped files through the serving engine, greedy, compared with the true answer after lower-casing and
removing a final period. The questions are fixed by their seeds, which training never uses.

${table(evaluation)}

- **drawings**: new drawings with what training knows, in percent, with the 95 % interval of Wilson.
- **held-out pairs**: six pairs of color and shape (red triangle, green star, blue diamond, yellow cross, purple circle, orange
  square) were never drawn in training and named only in scenes that are described in words; here every question is about an
  image of one. In the last phases the loss does not count such a pair as wrong where only its absence from the images
  could exclude it: nothing purple is learned *not* to be a circle.
- **new wording**: the same drawings, asked in a wording that training never used.
- **blind**: the same questions about a grey image: what guessing gives.

## Training

\`npm run train:demo\` makes it again: the tower learns what every patch of an image shows, the language model learns to
look things up in scenes described in words, the projector is aligned on descriptions, and all parts are tuned on dialogues of
several turns, in the end also about objects whose color has no name and about several looks of an object at once. Images, questions and the tokenizer are made by the project itself; there is no third-party data.
`;
}

function table({ seen, heldOut, unseenWording, blind }: Evaluation): string {
  const rows = [...seen.keys()].map((kind) =>
    row(kind.replace("_", " "), [
      seen.get(kind),
      heldOut.get(kind),
      unseenWording.get(kind),
      blind.get(kind),
    ]),
  );
  const all = row("**all**", [total(seen), total(heldOut), total(unseenWording), total(blind)]);
  return [
    "| question | drawings | n | held-out pairs | n | new wording | n | blind | n |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ...rows,
    all,
  ].join("\n");
}

function row(name: string, tallies: readonly (Tally | undefined)[]): string {
  const cells = tallies.flatMap((tally) => (tally ? [share(tally), String(tally.asked)] : ["–", "–"]));
  return `| ${[name, ...cells].join(" | ")} |`;
}

function share(tally: Tally): string {
  const [low, high] = wilsonInterval(tally).map((bound) => (100 * bound).toFixed(0));
  return `${((100 * tally.right) / tally.asked).toFixed(1)} (${low}–${high})`;
}
