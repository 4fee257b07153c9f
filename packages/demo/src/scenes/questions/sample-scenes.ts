/** Defines the scenes of the page's sample images and the questions about them. */
import { characterObject, paper, shapeObject } from "../drawing/build.ts";
import type { Kind } from "./phrases.ts";
import { DEFAULT_OPTIONS } from "./question.ts";
import { questionFor } from "./questions.ts";
import { Random } from "../drawing/keyed-random.ts";
import type { Scene } from "../drawing/scene.ts";

export interface SampleScene {
  readonly file: string;
  readonly title: string;
  readonly badge?: string;
  readonly scene: Scene;
  readonly questions: readonly { readonly kind: Kind; readonly text: string }[];
}

export const SAMPLE_SCENES: readonly SampleScene[] = [
  {
    file: "shapes.png",
    title: "Shapes",
    scene: {
      objects: [
        shapeObject("red", "circle", 23, 50),
        shapeObject("yellow", "star", 75, 21, { rotation: 0.12 }),
        shapeObject("green", "square", 70, 76, { size: "small", rotation: -0.1 }),
      ],
      background: paper([243, 240, 235]),
    },
    questions: [
      { kind: "color", text: "What color is the circle?" },
      { kind: "exist", text: "Is there a yellow star?" },
      { kind: "size", text: "Is the square large or small?" },
      { kind: "describe", text: "Describe the image." },
    ],
  },
  {
    file: "counting.png",
    title: "Counting",
    scene: {
      objects: [
        shapeObject("cyan", "star", 20, 20, { rotation: -0.15 }),
        shapeObject("cyan", "star", 76, 45, { rotation: 0.1 }),
        shapeObject("cyan", "star", 24, 77, { size: "small" }),
        shapeObject("pink", "square", 48, 21, { size: "small", rotation: 0.15 }),
        shapeObject("pink", "square", 56, 79, { rotation: -0.08 }),
      ],
      background: paper([235, 239, 244]),
    },
    questions: [
      { kind: "count_shape", text: "How many stars are there?" },
      { kind: "count_all", text: "How many objects are there?" },
      { kind: "compare", text: "Are there more stars than squares?" },
    ],
  },
  {
    file: "reading.png",
    title: "Reading",
    scene: {
      objects: [
        characterObject("purple", "K", 46, 48),
        shapeObject("orange", "circle", 80, 17, { size: "small" }),
        shapeObject("blue", "triangle", 17, 79, { size: "small", rotation: 0.1 }),
      ],
      background: paper([244, 238, 240]),
    },
    questions: [
      { kind: "read", text: "What character is shown?" },
      { kind: "color", text: "What color is the letter?" },
      { kind: "where", text: "Where is the letter?" },
    ],
  },
  {
    file: "places.png",
    title: "Places",
    scene: {
      objects: [
        shapeObject("green", "triangle", 76, 76, { rotation: -0.06 }),
        shapeObject("purple", "diamond", 18, 18, { size: "small", rotation: 0.1 }),
        shapeObject("orange", "cross", 21, 75, { rotation: 0.14 }),
      ],
      background: paper([238, 242, 236]),
    },
    questions: [
      { kind: "where", text: "Where is the triangle?" },
      { kind: "where", text: "Where is the diamond?" },
      { kind: "shape", text: "What shape is the orange object?" },
    ],
  },
  {
    file: "relations.png",
    title: "Left and right",
    scene: {
      objects: [
        shapeObject("blue", "square", 22, 70, { rotation: -0.12 }),
        shapeObject("pink", "diamond", 73, 25, { texture: "striped", rotation: 0.05 }),
      ],
      background: paper([240, 238, 245]),
    },
    questions: [
      { kind: "relation_x", text: "Is the square left or right of the diamond?" },
      { kind: "relation_y", text: "Is the diamond above or below the square?" },
      { kind: "texture", text: "Is the diamond striped or solid?" },
    ],
  },
  {
    file: "never-seen.png",
    title: "A purple circle",
    badge: "never seen in training",
    scene: {
      objects: [
        shapeObject("purple", "circle", 50, 23),
        shapeObject("cyan", "triangle", 20, 74, { rotation: 0.1 }),
        shapeObject("yellow", "square", 78, 77, { size: "small", rotation: -0.12 }),
      ],
      background: paper([245, 241, 234]),
    },
    questions: [
      { kind: "color", text: "What color is the circle?" },
      { kind: "exist", text: "Is there a purple circle?" },
      { kind: "describe", text: "Describe the image." },
    ],
  },
];

const MAX_TRIES = 5_000;

/**
 * The true answer to a question with this text, or null when the demo never asks it about the scene. The generator chooses
 * wordings at random, so its questions are drawn until one has this text.
 */
export function answerTo(scene: Scene, kind: Kind, text: string): string | null {
  for (let seed = 0; seed < MAX_TRIES; seed++) {
    const question = questionFor(scene, kind, Random.of(seed, "samples"), {
      ...DEFAULT_OPTIONS,
      split: "held-out",
    });
    if (question?.text === text) return question.sentence;
  }
  return null;
}
