/** What the page's sample pictures show, apart from how they are drawn and written. */
import type { Kind } from "../packages/training/src/demo/phrases.ts";
import type { Background, CharacterObject, Scene, ShapeObject } from "../packages/training/src/demo/scene.ts";
import type { Rgb } from "../packages/training/src/demo/shades.ts";
import type { Color, Shape, Size, Texture } from "../packages/training/src/demo/vocabulary.ts";

export interface SampleScene {
  readonly file: string;
  readonly title: string;
  readonly badge?: string;
  readonly scene: Scene;
  readonly questions: readonly { readonly kind: Kind; readonly text: string }[];
}

/** One shade per colour, out of the middle of the range that the demo draws. */
const SHADES: Readonly<Record<Color, Rgb>> = {
  red: [232, 39, 32],
  green: [49, 173, 65],
  blue: [41, 85, 230],
  yellow: [247, 218, 25],
  purple: [126, 47, 168],
  orange: [247, 126, 20],
  cyan: [39, 200, 214],
  pink: [250, 125, 183],
};

const LARGE = 14;
const SMALL = 8;

interface Look {
  readonly size?: Size;
  readonly texture?: Texture;
  /** Radians. */
  readonly rotation?: number;
}

/** A shape with its centre at (x, y) on the scene's 96 × 96 units. */
function shape(color: Color, shape: Shape, x: number, y: number, look: Look = {}): ShapeObject {
  const { size = "large", texture = "solid", rotation = 0 } = look;
  const radius = size === "large" ? LARGE : SMALL;
  const stripes = { angle: Math.PI / 4, period: 5, phase: 0.2 };
  return { kind: "shape", shape, texture, stripes, color, rgb: SHADES[color], size, x, y, radius, rotation };
}

function character(color: Color, character: string, x: number, y: number): CharacterObject {
  return {
    kind: "character",
    character,
    color,
    rgb: SHADES[color],
    size: "large",
    x,
    y,
    radius: LARGE,
    rotation: 0.02,
  };
}

/** Paper of a light tint that darkens a little downwards. */
function paper(color: Rgb): Background {
  return { color, across: [3, 2, 1], down: [-9, -9, -8], noise: 0, seed: 1 };
}

export const SAMPLE_SCENES: readonly SampleScene[] = [
  {
    file: "shapes.png",
    title: "Shapes",
    scene: {
      objects: [
        shape("red", "circle", 23, 50),
        shape("yellow", "star", 75, 21, { rotation: 0.12 }),
        shape("green", "square", 70, 76, { size: "small", rotation: -0.1 }),
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
        shape("cyan", "star", 20, 20, { rotation: -0.15 }),
        shape("cyan", "star", 76, 45, { rotation: 0.1 }),
        shape("cyan", "star", 24, 77, { size: "small" }),
        shape("pink", "square", 48, 21, { size: "small", rotation: 0.15 }),
        shape("pink", "square", 56, 79, { rotation: -0.08 }),
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
        character("purple", "K", 46, 48),
        shape("orange", "circle", 80, 17, { size: "small" }),
        shape("blue", "triangle", 17, 79, { size: "small", rotation: 0.1 }),
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
        shape("green", "triangle", 76, 76, { rotation: -0.06 }),
        shape("purple", "diamond", 18, 18, { size: "small", rotation: 0.1 }),
        shape("orange", "cross", 21, 75, { rotation: 0.14 }),
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
        shape("blue", "square", 22, 70, { rotation: -0.12 }),
        shape("pink", "diamond", 73, 25, { texture: "striped", rotation: 0.05 }),
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
        shape("purple", "circle", 50, 23),
        shape("cyan", "triangle", 20, 74, { rotation: 0.1 }),
        shape("yellow", "square", 78, 77, { size: "small", rotation: -0.12 }),
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
